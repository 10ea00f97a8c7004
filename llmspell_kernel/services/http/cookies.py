"""The cookies of one session, in memory.

Rules
- A cookie goes back to the origin that set it and to no other, whatever its `Domain` says: without a list of public suffixes nobody can
  tell `example.co.uk` from `co.uk`, which is also why the jar of the standard library is not used.
- So many, so large, and no more; the oldest go first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime
from typing import NamedTuple

MOST_ORIGINS = 100
MOST_COOKIES = 50
LONGEST = 4_096
Origin = tuple[str, str, int]
# A separator or control character here would be a header or a cookie of its own in the next request.
_NAME = re.compile(r"[^\x00-\x20\x7f-\xff;,=\"]+")
_VALUE = re.compile(r"[\x21-\x3a\x3c-\x7e]*(?: +[\x21-\x3a\x3c-\x7e]+)*")


class _Cookie(NamedTuple):
    value: str
    path: str
    ends: float


class CookieJar:
    """`now` gives the seconds since 1970."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._origins: dict[Origin, dict[tuple[str, str], _Cookie]] = {}

    def header(self, origin: Origin, path: str) -> str:
        """The Cookie header for a request, "" for none."""
        now, path = self._now(), path.partition("?")[0]
        cookies = self._origins.get(origin, {})
        fitting = [(name, cookie) for (name, _), cookie in cookies.items() if cookie.ends > now and _covers(cookie.path, path)]
        fitting.sort(key=lambda item: -len(item[1].path))
        return "; ".join(f"{name}={cookie.value}" for name, cookie in fitting)

    def take(self, origin: Origin, path: str, set_cookies: Iterable[str]) -> None:
        """The Set-Cookie headers of an answer; what is malformed or too large is left out, as browsers do."""
        for text in set_cookies:
            self._take(origin, path.partition("?")[0], text)

    def clear(self) -> None:
        self._origins.clear()

    def _take(self, origin: Origin, path: str, text: str) -> None:
        pair, *attributes = text.split(";")
        name, equals, value = (part.strip(" \t") for part in pair.partition("="))
        if not equals or len(text) > LONGEST or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            return
        told = {key.strip().lower(): value.strip() for key, _, value in (part.partition("=") for part in attributes)}
        where = told.get("path", "")
        cookie = _Cookie(value, where if where.startswith("/") else _folder(path), self._end(told))
        cookies = self._origins.pop(origin, {})
        cookies.pop((name, cookie.path), None)
        if cookie.ends > self._now():
            cookies[name, cookie.path] = cookie
        while len(cookies) > MOST_COOKIES:
            del cookies[next(iter(cookies))]
        if cookies:
            self._origins[origin] = cookies
        while len(self._origins) > MOST_ORIGINS:
            del self._origins[next(iter(self._origins))]

    def _end(self, told: dict[str, str]) -> float:
        age = told.get("max-age", "")
        if re.fullmatch(r"-?[0-9]{1,12}", age):
            return self._now() + int(age)
        try:
            return parsedate_to_datetime(told["expires"]).timestamp()
        except (KeyError, ValueError, TypeError, OverflowError, IndexError):
            return float("inf")


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _covers(cookie_path: str, path: str) -> bool:
    return path == cookie_path or path.startswith(cookie_path if cookie_path.endswith("/") else f"{cookie_path}/")
