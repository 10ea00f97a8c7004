"""Values as a cassette may hold them: in the written form, without ids of one run.  Pure.

A cassette may be a stranger's, and its answers go to engines as they stand: what no host writes is refused before anything is played.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import ValueCrossingError
from ..values import INT_MAX, INT_MIN, loads

_DIGITS = bytes.maketrans(b"123456789", b"000000000")


def check_recorded(text: bytes | msgspec.Raw) -> None:
    """Raises ValueCrossingError for what no recording holds; `text` is known to be JSON and not too deep."""
    raw = bytes(text)
    if b"$" in raw or b"\\u0024" in raw or b"0" * 19 in raw.translate(_DIGITS):  # most hold no tag and no large number
        _check(msgspec.json.decode(raw))


def _check(value: Any) -> None:
    match value:
        case int() if not INT_MIN <= value <= INT_MAX:
            raise ValueCrossingError("a whole number of more than 64 bits")
        case list():
            for item in value:
                _check(item)
        case {"$": _}:
            _check_tagged(value)
        case dict():
            for item in value.values():
                _check(item)


def _check_tagged(value: dict[str, Any]) -> None:
    match value:
        case {"$": ["f"] | ["r", str()], **rest} if not rest:
            return
        case {"$": ["f" | "r", *_]}:
            raise ValueCrossingError("the id of a function or thing of another run")
        case {"$": ["o", dict(inner)], **rest} if not rest and "$" in inner:
            for item in inner.values():
                _check(item)
        case _:
            loads(msgspec.json.encode(value))
