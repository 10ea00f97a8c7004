"""Values as text in the manner of JSON: on one line where it fits, else indented."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from ..values import MAX_DEPTH, Callback, EmptyTable, Opaque, ResourceRef, Value
from .text import clean, clip

LINE_WIDTH = 100
SHOWN_BYTES = 32
MAX_LINES = 5_000


def scalar(value: Value, null: str = "null") -> str | None:
    """The text of a value that holds no others; None for a list or dict.  Ids are left out: they differ from run to run."""
    match value:
        case None:
            return null
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case str():
            return json.dumps(clean(value), ensure_ascii=False)
        case bytes() | bytearray() | memoryview():
            return _bytes(bytes(value))
        case Opaque(text):
            return clean(text)
        case Callback():
            return "function"
        case ResourceRef(_, kind):
            return f"<{clean(kind)}>"
        case EmptyTable():
            return "{}"
        case list() | tuple() | dict():
            return None if value else "{}" if isinstance(value, dict) else "[]"
    return clean(f"<{type(value).__name__}>")


def inline(value: Value, limit: int) -> str:
    """One line of at most `limit` characters, cut with an ellipsis; takes time in proportion to `limit`, not to the value."""
    out, length = [], 0
    for token in _tokens(value, 0, limit):
        out.append(token)
        length += len(token)
        if length > limit:
            break
    return clip("".join(out), limit)


def pretty(value: Value, null: str = "null") -> str:
    """As many lines as it needs, up to 5,000."""
    lines: list[str] = []
    for line in _lines(value, "", "", "", null):
        lines.append(line)
        if len(lines) >= MAX_LINES:
            lines.append("… more lines not shown")
            break
    return "\n".join(lines)


def _bytes(data: bytes) -> str:
    head = data[:SHOWN_BYTES]
    more = " …" if len(data) > SHOWN_BYTES else ""
    unit = "byte" if len(data) == 1 else "bytes"
    return f"<{len(data):,} {unit}: {head.hex(' ')}{more}>" if data else "<0 bytes>"


def _tokens(value: Value, depth: int, limit: int) -> Iterator[str]:
    text = scalar(value[: limit + 1] if isinstance(value, str) else value)
    if text is not None:
        yield text
    elif depth >= MAX_DEPTH:
        yield "…"
    elif isinstance(value, dict):
        for index, (key, item) in enumerate(value.items()):
            yield f"{', ' if index else '{'}{_key(key)}: "
            yield from _tokens(item, depth + 1, limit)
        yield "}"
    else:
        for index, item in enumerate(value):
            yield ", " if index else "["
            yield from _tokens(item, depth + 1, limit)
        yield "]"


def _key(key: object) -> str:
    return json.dumps(clean(str(key)), ensure_ascii=False)


def _lines(value: Value, indent: str, before: str, after: str, null: str) -> Iterator[str]:
    text = scalar(value, null)
    room = max(LINE_WIDTH - len(indent) - len(before), 20)
    if text is None:
        short = inline(value, room + 1)
        text = short if len(short) <= room or len(indent) >= 2 * MAX_DEPTH else None
    if text is not None:
        yield f"{indent}{before}{text}{after}"
        return
    is_dict = isinstance(value, dict)
    yield f"{indent}{before}{'{' if is_dict else '['}"
    items = list(value.items()) if is_dict else [("", item) for item in value]
    for index, (key, item) in enumerate(items):
        yield from _lines(item, indent + "  ", f"{_key(key)}: " if is_dict else "", "," if index < len(items) - 1 else "", null)
    yield f"{indent}{'}' if is_dict else ']'}{after}"
