"""The written form of a kept value: JSON, with a checksum that tells a damaged one from a good one."""

from __future__ import annotations

import zlib

from llmspell_kernel.errors import ScriptError, ValueCrossingError
from llmspell_kernel.values import Callback, Opaque, ResourceRef, Value, dumps, loads, resolve_empty


def packed(value: Value) -> bytes:
    """Raises ScriptError (code `value`) for what lives in one state only: functions, and things that the host keeps for it."""
    value = resolve_empty(value)
    text = dumps(value)
    _refuse_living(value, text)
    return text


def unpacked(text: bytes) -> Value:
    value = loads(text)
    _refuse_living(value, text)  # a database may come from a stranger, with the number of a function in it
    return value


def checksum(space: str, key: str, text: bytes) -> int:
    """SQLite tells when its own structure is damaged, and not when a value is."""
    return zlib.crc32(text, zlib.crc32(f"{space}\0{key}\0".encode()))


def _refuse_living(value: Value, text: bytes) -> None:
    if b'"$"' in text:
        _walk(value, "value")


def _walk(value: Value, path: str) -> None:
    if isinstance(value, (Callback, ResourceRef, Opaque)):
        kind = value.type if isinstance(value, ResourceRef) else "function"
        raise ValueCrossingError(f"a {kind} cannot be kept: it ends with its state; keep data", path=path)
    if isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            _walk(item, f"{path}.{key}")


def sum_of(value: Value, by: int | float, called: str) -> int | float:
    """What counting gives; nothing counts as 0.  Raises ScriptError (code `not_a_number`)."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ScriptError(f"the key {called} holds no number, so nothing can be added to it", code="not_a_number")
    return (value or 0) + by
