"""A URL, read once and strictly.  Pure.

Rules
- What was checked is what is sent: the parts made here are the request, and nobody reads the text again.
- http and https only; no user name or password; no character that programs read in several ways (white space, controls, backslash).
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, urljoin

from ..errors import ScriptError
from .hosts import Host, host_of, port_of, split_port

LONGEST_URL = 8_192
DEFAULT_PORTS = {"http": 80, "https": 443}
_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?")
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ufeff\ud800-\udfff]")
# What may stand in a request line as it is; a "%" is left alone, as the text may be encoded already.
_PATH = "/%:@!$&'()*+,;=~-._[]"
_QUERY = _PATH + "?"


class Url(NamedTuple):
    """`path` holds the query too: ASCII, as the request line has it."""

    scheme: str
    host: Host
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        return self.host.written if self.port == DEFAULT_PORTS[self.scheme] else f"{self.host.written}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host.name, self.port

    @property
    def text(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def shown(self) -> str:
        """For errors and the trace: without the query, which may hold keys."""
        return f"{self.scheme}://{self.authority}{self.path.partition('?')[0]}"


def url_of(text: str) -> Url:
    """Raises ScriptError with the code "url", naming what is wrong, never the whole text: it may hold keys."""
    if len(text) > LONGEST_URL:
        raise _wrong(f"the URL has {len(text)} characters; the most is {LONGEST_URL}, so send much data as the body")
    if found := _AMBIGUOUS.search(text):
        raise _wrong(f"the URL holds the character {found.group()!a} at {found.start() + 1}; percent-encode it, or use the option query")
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise _wrong("the URL is not absolute; write https://, the host, and the path")
    scheme, authority, path, query = parts[1].lower(), parts[2], parts[3], parts[4]
    if scheme not in DEFAULT_PORTS:
        raise _wrong(f"the URL begins with '{scheme}:'; only https: and http: can be called")
    if "@" in authority:
        raise _wrong("the URL holds a user name or password; leave them out, and name a secret in the option auth")
    try:
        host, port = split_port(authority)
        target = quote(path or "/", safe=_PATH) + ("" if query is None else "?" + quote(query, safe=_QUERY))
        return Url(scheme, host_of(host), port_of(port) if port else DEFAULT_PORTS[scheme], target)
    except ValueError as error:
        raise _wrong(f"the URL cannot be called: {error}") from None


def joined(url: Url, location: str) -> Url:
    """Where a redirect leads.  Raises ScriptError with the code "url"."""
    if len(location) > LONGEST_URL or _AMBIGUOUS.search(location):
        return url_of(location)  # says what is wrong; joining would have taken some of these characters away
    try:
        return url_of(urljoin(url.text, location))
    except ValueError:
        raise _wrong("the URL is malformed") from None


def _wrong(what: str) -> ScriptError:
    return ScriptError(what, code="url")
