"""One written form for the arguments of a call, whatever order a script named them in, and the key that a recorded answer is found by.  Pure.

What belongs to one run alone is left out: the ids of a script's functions and of the things that the host keeps for it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from ..errors import ValueCrossingError
from ..values import MAX_DEPTH, check_items, kinds_in

KEY_CHARS = 24


def canonical(written: bytes | msgspec.Raw) -> bytes:
    """The canonical form of a text in the written form of values: keys sorted, no ids.  Raises ValueCrossingError where it is none."""
    return _canonical(written, 0)


def canonical_arguments(written: bytes | msgspec.Raw) -> bytes:
    """The same for a JSON array of values: each of them may be nested as deep as a value alone."""
    return _canonical(written, -1)


def _canonical(written: bytes | msgspec.Raw, depth: int) -> bytes:
    check_items(written)
    try:
        text = msgspec.json.encode(_read_without_ids(bytes(written), depth), order="sorted")
        # most are canonical as they come, and are kept elsewhere too: one of them is enough
        return written if type(written) is bytes and text == written else text
    except (msgspec.DecodeError, RecursionError, UnicodeError, OverflowError) as error:
        raise ValueCrossingError(f"malformed value text: {error}") from None


def key_of(call: str, arguments: bytes, opener: str = "") -> str:
    """`arguments` are canonical; `opener` names the call that gave the thing whose method this is."""
    return hashlib.sha256(b"\0".join((call.encode(), opener.encode(), arguments))).hexdigest()[:KEY_CHARS]


def _read_without_ids(written: bytes, depth: int) -> Any:
    value = msgspec.json.decode(written)
    if b"$" in written or b"\\u0024" in written:
        return _without_ids(value, depth)
    if kinds_in(value, MAX_DEPTH - depth) is None:  # no look at each item, of which a call may have a million
        raise ValueCrossingError(f"nested deeper than {MAX_DEPTH} levels")
    return value


def _without_ids(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueCrossingError(f"nested deeper than {MAX_DEPTH} levels")
    if type(value) is list:
        return [_without_ids(item, depth + 1) for item in value]
    if type(value) is not dict:
        return value
    match value:
        case {"$": ["f", int()], **rest} if not rest:
            return {"$": ["f"]}
        case {"$": ["r", int(), str(kind)], **rest} if not rest:
            return {"$": ["r", kind]}
        case {"$": ["o", dict(inner)], **rest} if not rest:  # a script's own key "$" is no tag
            return {"$": ["o", {key: _without_ids(item, depth + 1) for key, item in inner.items()}]}
        case {"$": [str(), *parts], **rest} if not rest and not any(type(part) in (list, dict) for part in parts):
            return value  # bytes, a number and the like: one leaf, and no level
    return {key: _without_ids(item, depth + 1) for key, item in value.items()}
