"""Texts as they can be written: a lone surrogate, which is not valid Unicode, is shown as its escape.  Pure."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


def writable(record: S) -> S:
    """The same with every text in it writable, at any depth; values in their written form (Raw) are as they are."""
    texts: S = _writable(record)
    return texts


def _writable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case list() | tuple():
            return type(value)(map(_writable, value))
        case dict():
            return {_writable(key): _writable(item) for key, item in value.items()}
        case msgspec.Struct():
            return msgspec.structs.replace(value, **{name: _writable(getattr(value, name)) for name in value.__struct_fields__})
    return value
