"""What may cross between script and host, and its one written form.

Rules
- The written form is JSON.  What JSON lacks is a *tagged* object with the single key "$": `{"$": [tag, ...]}`.  A script's own object that
  has a key "$" is wrapped as `{"$": ["o", {...}]}`, so data can never be taken for a tag.
- Tags: `b` bytes (base64), `i` an integer beyond 2**53 (decimal text, for engines whose numbers are doubles), `n` a non-finite float,
  `e` an empty Lua table (array or object: the reader decides), `f` a function of the script (callback id), `r` a thing the host keeps
  (resource id, type), `x` a result that can only be shown (text), `o` an object with a "$" key.
- Depth is limited to 64 and the number of items to a million, checked here, whatever the sender promised: two million empty lists are
  6 MB of text and 200 MB of memory.  Bytes are limited by whoever knows the policy, and counted here: 4 MB of text can be half a million
  small objects, which take 120 MB.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from .errors import ValueCrossingError

MAX_DEPTH = 64
MAX_ITEMS = 1_000_000
MANY_ITEMS = 32 * 1024
"""Of a list that is not copied where that can be left: it would take 100 MB once more.  The journal keeps nothing of one as long, so that
whoever changes it does not change what was written down."""
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
SAFE_INT = 2**53 - 1  # ECMAScript's Number.MAX_SAFE_INTEGER
OBJECT_BYTES, LIST_BYTES, MEMBER_BYTES, STRING_BYTES = 50, 20, 8, 6
"""What each counts in a value: a quarter of the memory that one takes in the host (measured, CPython 3.11: 200, 72, 32, 24 and its text)."""
_FEW_BYTES = 16 * 1024
_PIECE_BYTES = 64 * 1024


class Callback(NamedTuple):
    """A function of the script, callable by the host while its state lives."""

    id: int


class ResourceRef(NamedTuple):
    """A typed opaque id of something the host keeps, such as a stream."""

    id: int
    type: str


class Opaque(NamedTuple):
    """A cell's result that can be shown but not taken: a function, a coroutine, a symbol."""

    text: str


class EmptyTable(NamedTuple):
    """Lua's `{}`: an array where the method's schema says so, else an object."""


EMPTY_TABLE = EmptyTable()

Value = Any  # None | bool | int | float | str | bytes | list | dict | Callback | ResourceRef | Opaque | EmptyTable


def dumps(value: Value, root: str = "value") -> bytes:
    """The written form of a host value.  Raises ValueCrossingError naming the path, which begins with `root`, of what cannot cross."""
    written = dumps_plain(value)
    return written if written is not None else msgspec.json.encode(_to_wire(value, root, 0))


def dumps_plain(value: Value) -> bytes | None:
    """The written form of data that is JSON as it stands, ten times as fast as by looking at each item; None for any other value."""
    if not _is_plain(value):
        return None
    try:
        return _encode(value)
    except UnicodeEncodeError:  # a lone surrogate: its place is named by who looks at each item
        return None


_encode = msgspec.json.Encoder().encode
_PLAIN = {type(None), bool, int, float, str, list, dict}
_LEAVES = _PLAIN - {list, dict}


def _is_plain(value: Value) -> bool:
    """Is there nothing but what JSON holds, without tags?  Goes level by level, so that the work on each item is done in C."""
    level: Sequence[Value] = (value,)
    items = 0
    for _ in range(MAX_DEPTH + 1):
        kinds = set(map(type, level))
        items += len(level)
        if not kinds <= _PLAIN or items > MAX_ITEMS or not _are_plain_numbers(level, kinds):
            return False
        if kinds <= _LEAVES:
            return True
        if dict in kinds and not _have_plain_keys([item for item in level if type(item) is dict]):
            return False
        level = inside(level, kinds)
    return False


def _have_plain_keys(objects: Sequence[dict[Any, Value]]) -> bool:
    return set(map(type, chain.from_iterable(objects))) <= {str} and "$" not in chain.from_iterable(objects)


def inside(level: Sequence[Value], kinds: set[type]) -> Sequence[Value]:
    """What the lists and objects of a level hold, taken out in C; `kinds` are those of the level."""
    lists = [item for item in level if type(item) is list] if list in kinds else []
    objects = [item for item in level if type(item) is dict] if dict in kinds else []
    return [*chain.from_iterable(lists), *chain.from_iterable(map(dict.values, objects))]


def _are_plain_numbers(level: Sequence[Value], kinds: set[type]) -> bool:
    if int in kinds:
        integers = [item for item in level if type(item) is int]
        if min(integers) < -SAFE_INT or max(integers) > SAFE_INT:
            return False
    return float not in kinds or all(map(math.isfinite, [item for item in level if type(item) is float]))


def loads(data: bytes | msgspec.Raw, *, empty_as_object: bool = True) -> Value:
    """The value behind a written form that an untrusted worker sent.  Raises ValueCrossingError for any malformed or too deep text."""
    check_items(data)
    try:
        wire = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueCrossingError(f"malformed value text: {error}") from None
    return wire if _holds_no_more_than_json(bytes(data), wire) else _from_wire(wire, 0, empty_as_object)


def kinds_in(value: Value, levels: int = MAX_DEPTH) -> set[type] | None:
    """The types of all that a value holds, itself included; None where it is nested deeper.  Hundreds of thousands of items take milliseconds."""
    found: set[type] = set()
    level: Sequence[Value] = (value,)
    for _ in range(levels + 1):
        kinds = set(map(type, level))
        found |= kinds
        if kinds.isdisjoint((list, dict)):
            return found
        level = inside(level, kinds)
    return None


Reference = Callback | ResourceRef
REFERENCES: tuple[type[Reference], ...] = (Callback, ResourceRef)
"""What names something of one state alone: a function, and a thing of the host."""


def first_reference(value: Value, path: str, kinds: tuple[type[Reference], ...] = REFERENCES) -> tuple[str, Reference] | None:
    """The first of such that a value holds, itself included, and its place."""
    if isinstance(value, kinds):
        return path, value
    if isinstance(value, (list, tuple)):
        inner = ((f"{path}[{place}]", item) for place, item in enumerate(value))
    elif isinstance(value, dict):
        inner = ((f"{path}.{key}", item) for key, item in value.items())
    else:
        return None
    for at, item in inner:
        if (found := first_reference(item, at, kinds)) is not None:
            return found
    return None


_ZEROS = bytes.maketrans(b"123456789", b"000000000")


def _holds_no_more_than_json(text: bytes, wire: Any) -> bool:
    """Is what msgspec read already the value: no tag, no integer that may be beyond 64 bits, not too deep?"""
    if b"$" in text or b"\\u0024" in text or b"0" * 19 in text.translate(_ZEROS):
        return False
    return text.count(b"[") + text.count(b"{") <= MAX_DEPTH or kinds_in(wire) is not None


def check_items(data: bytes | msgspec.Raw) -> None:
    """Raises ValueCrossingError for a text of more than MAX_ITEMS items, before anything is made of it."""
    if len(data) <= MAX_ITEMS:
        return
    text = bytes(data)
    if _marks(text) <= MAX_ITEMS:
        return
    # commas inside strings are no items: what stands outside them is every second piece between quotes
    plain = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 4 * MAX_ITEMS or _marks(b"".join(plain.split(b'"')[::2])) > MAX_ITEMS:
        raise ValueCrossingError(f"a value of more than {MAX_ITEMS} items; pass large data as one string or in parts")


def _marks(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def counted_bytes(written: bytes | msgspec.Raw, most: int) -> int:
    """How large a value counts, before anything is made of it: as its text or, where that is more, as what its text holds.

    Counting ends soon after `most`, so that a text which is over it costs no more than one which is not.  No byte of a text counts more than
    OBJECT_BYTES: whoever knows that it is small enough need not count.
    """
    text = bytes(written)
    counted = _marked_bytes(text) + STRING_BYTES * text.count(b'"') // 2
    if counted > max(len(text), _FEW_BYTES):  # it may be prose or code, whose marks stand in strings
        counted = _bytes_outside_strings(text, most)
    return max(len(text), counted)


def held_bytes(value: Any, most: int) -> int:
    """What data counts that the host keeps, as values of scripts do: 180 KB of `[],` are 4 MB of lists.  Counting ends soon after `most`."""
    return counted_bytes(msgspec.json.encode(value), most)


def _marked_bytes(text: bytes) -> int:
    return OBJECT_BYTES * text.count(b"{") + LIST_BYTES * text.count(b"[") + MEMBER_BYTES * text.count(b",")


def _bytes_outside_strings(text: bytes, most: int) -> int:
    plain = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    counted = STRING_BYTES * plain.count(b'"') // 2
    inside = 0
    for start in range(0, len(plain), _PIECE_BYTES):  # in pieces: as one list, two million strings would take what is to be limited
        if counted > most:
            break
        parts = plain[start : start + _PIECE_BYTES].split(b'"')
        counted += _marked_bytes(b"".join(parts[inside::2]))
        inside = (inside + len(parts) - 1) % 2
    return counted


def resolve_empty(value: Value) -> Value:
    """The same value with every undecided empty Lua table made an object.  A long list that holds none is not copied."""
    if isinstance(value, EmptyTable):
        return {}
    if isinstance(value, list):
        if len(value) > MANY_ITEMS and (kinds := kinds_in(value)) is not None and EmptyTable not in kinds:
            return value
        return [resolve_empty(item) for item in value]
    if isinstance(value, dict):
        return {key: resolve_empty(item) for key, item in value.items()}
    return value


def _to_wire(value: Value, path: str, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _text(value, path)
    if value is None or kind is bool:
        return value
    if kind is int:
        return _integer(value, path)
    if kind is float:
        return value if math.isfinite(value) else {"$": ["n", repr(value)]}
    if depth >= MAX_DEPTH:
        raise ValueCrossingError(f"nested deeper than {MAX_DEPTH} levels, or contains itself", path=path)
    if isinstance(value, Callback):
        return {"$": ["f", value.id]}
    if isinstance(value, ResourceRef):
        return {"$": ["r", value.id, value.type]}
    if isinstance(value, EmptyTable):
        return {"$": ["e"]}
    if isinstance(value, Opaque):
        return {"$": ["x", value.text]}
    if isinstance(value, Mapping):
        return _object(value, path, depth)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$": ["b", b64encode(value).decode()]}
    if isinstance(value, (list, tuple)):
        return [_to_wire(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    # subclasses (enum.IntEnum, numpy scalars that are Python numbers) cross as what they are
    if isinstance(value, str):
        return _text(str.__str__(value), path)  # str() of an enum's member is the member's name
    for base in (bool, int, float):
        if isinstance(value, base):
            return _to_wire(base(value), path, depth)
    raise ValueCrossingError(
        f"a Python {kind.__module__}.{kind.__qualname__} cannot be given to a script; "
        "use None, bool, int, float, str, bytes, a list or a dict with string keys",
        path=path,
    )


def _text(value: str, path: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueCrossingError("the string holds a lone surrogate, which is not valid Unicode", path=path) from None
    return value


def _integer(value: int, path: str) -> Any:
    if not INT_MIN <= value <= INT_MAX:
        raise ValueCrossingError(f"the integer {value} does not fit in 64 bits; pass it as a string", path=path)
    return value if -SAFE_INT <= value <= SAFE_INT else {"$": ["i", str(value)]}


def _object(value: Mapping[Any, Any], path: str, depth: int) -> Any:
    out = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise ValueCrossingError(f"the key {key!r} is not a string", path=path)
        out[_text(key, path)] = _to_wire(item, f"{path}.{key}", depth + 1)
    return {"$": ["o", out]} if "$" in out else out


def _from_wire(wire: Any, depth: int, empty_as_object: bool) -> Value:
    if isinstance(wire, list):
        _check_depth(depth)
        return [_from_wire(item, depth + 1, empty_as_object) for item in wire]
    if isinstance(wire, dict):
        _check_depth(depth)
        if "$" in wire:
            return _tagged(wire, depth, empty_as_object)
        return {key: _from_wire(item, depth + 1, empty_as_object) for key, item in wire.items()}
    if type(wire) is int and not INT_MIN <= wire <= INT_MAX:
        try:
            return float(wire)  # an engine's double that is integral but beyond 64 bits, such as 1e300
        except OverflowError:
            raise ValueCrossingError("a number is beyond every double") from None
    return wire


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise ValueCrossingError(f"nested deeper than {MAX_DEPTH} levels")


def _tagged(wire: dict[str, Any], depth: int, empty_as_object: bool) -> Value:
    match wire:
        case {"$": ["b", str(text)], **rest} if not rest:
            try:
                return b64decode(text, validate=True)
            except ValueError:
                raise ValueCrossingError("malformed base64 in a bytes value") from None
        case {"$": ["i", str(text)], **rest} if (
            not rest and len(text) <= 20 and text.removeprefix("-").isascii() and text.removeprefix("-").isdigit()
        ):
            number = int(text)
            if INT_MIN <= number <= INT_MAX:
                return number
        case {"$": ["n", ("nan" | "inf" | "-inf") as text], **rest} if not rest:
            return float(text)
        case {"$": ["e"], **rest} if not rest:
            return {} if empty_as_object else EMPTY_TABLE
        case {"$": ["f", int(number)], **rest} if not rest and type(number) is int:
            return Callback(number)
        case {"$": ["r", int(number), str(kind)], **rest} if not rest and type(number) is int:
            return ResourceRef(number, kind)
        case {"$": ["x", str(text)], **rest} if not rest:
            return Opaque(text)
        case {"$": ["o", dict(inner)], **rest} if not rest and "$" in inner:
            return {key: _from_wire(item, depth + 1, empty_as_object) for key, item in inner.items()}
    raise ValueCrossingError("malformed tagged value")
