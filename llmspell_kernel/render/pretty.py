"""Values as text in the manner of JSON: on one line where it fits, else indented."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from ..values import MAX_DEPTH, Callback, EmptyTable, Opaque, ResourceRef, Value
from .budget import MAX_PLAIN_CHARS
from .text import clean_clipped, clip

LINE_WIDTH = 100
SHOWN_BYTES = 32
MAX_LINES = 5_000
MAX_STRING_CHARS = 100_000
MAX_KEY_CHARS = 1_000
_CUT = "… more not shown"


def scalar(value: Value, null: str = "null", limit: int = MAX_STRING_CHARS) -> str | None:
    """The text of a value that holds no others; None for a list or dict.  Ids are left out: they differ from run to run.

    Strings are cut to `limit` characters before anything is done with them.
    """
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
            return json.dumps(clean_clipped(value, limit), ensure_ascii=False)
        case bytes() | bytearray() | memoryview():
            return _bytes(value)
        case Opaque(text):
            return clean_clipped(text, limit)
        case Callback():
            return "function"
        case ResourceRef(_, kind):
            return f"<{clean_clipped(kind, limit)}>"
        case EmptyTable():
            return "{}"
        case list() | tuple() | dict():
            return None if value else "{}" if isinstance(value, dict) else "[]"
    return clean_clipped(f"<{type(value).__name__}>", limit)


def short_number(value: float) -> str:
    """A number to be read at a glance: 0.30000000000000004 is 0.3.  Six decimals, or six digits below 1; a whole number is never rounded."""
    whole = str(value)
    if isinstance(value, int) or not 1e-300 < abs(value) < 1e15:
        return whole
    short = repr(float(f"{value:.6g}")) if abs(value) < 1 else repr(round(value, 6))
    return short if len(short) < len(whole) else whole


def inline(value: Value, limit: int, null: str = "null") -> str:
    """One line of at most `limit` characters, cut with an ellipsis; takes time in proportion to `limit`, not to the value."""
    out, length = [], 0
    for token in _tokens(value, 0, limit, null):
        out.append(token)
        length += len(token)
        if length > limit:
            break
    return clip("".join(out), limit)


def pretty(value: Value, null: str = "null", limit: int = MAX_PLAIN_CHARS) -> str:
    """As many lines as it needs, up to 5,000 and to about `limit` characters; takes time in proportion to what it shows."""
    lines: list[str] = []
    room = limit
    for line, cost in _lines(value, "", "", "", null, min(limit, MAX_STRING_CHARS)):
        if room < len(line) or len(lines) >= MAX_LINES:
            lines.extend([line[:room], _CUT] if room > 0 and len(lines) < MAX_LINES else [_CUT])
            break
        lines.append(line)
        room -= max(len(line), cost) + 1
    return "\n".join(lines)


def _bytes(data: bytes | bytearray | memoryview) -> str:
    head = bytes(data[:SHOWN_BYTES])
    more = " …" if len(data) > SHOWN_BYTES else ""
    unit = "byte" if len(data) == 1 else "bytes"
    return f"<{len(data):,} {unit}: {head.hex(' ')}{more}>" if data else "<0 bytes>"


def _tokens(value: Value, depth: int, limit: int, null: str) -> Iterator[str]:
    text = scalar(value, null, limit + 1)
    if text is not None:
        yield text
    elif depth >= MAX_DEPTH:
        yield "…"
    elif isinstance(value, dict):
        for index, (key, item) in enumerate(value.items()):
            yield f"{', ' if index else '{'}{_key(key, limit + 1)}: "
            yield from _tokens(item, depth + 1, limit, null)
        yield "}"
    else:
        for index, item in enumerate(value):
            yield ", " if index else "["
            yield from _tokens(item, depth + 1, limit, null)
        yield "]"


def _key(key: object, limit: int) -> str:
    return json.dumps(clean_clipped(str(key), limit), ensure_ascii=False)


def _lines(value: Value, indent: str, before: str, after: str, null: str, limit: int) -> Iterator[tuple[str, int]]:
    """Lines, and the length of the text that was looked at for each: one of controls alone is shown as nothing, but takes its time."""
    text = scalar(value, null, limit)
    room = max(LINE_WIDTH - len(indent) - len(before), 20)
    if text is None:
        short = inline(value, room + 1, null)
        text = short if len(short) <= room or len(indent) >= 2 * MAX_DEPTH else None
    if text is not None:
        yield f"{indent}{before}{text}{after}", min(len(value), limit) if isinstance(value, str) else 0
        return
    is_dict = isinstance(value, dict)
    yield f"{indent}{before}{'{' if is_dict else '['}", 0
    last = len(value) - 1
    for index, (key, item) in enumerate(value.items() if is_dict else (("", item) for item in value)):
        label = f"{_key(key, min(limit, MAX_KEY_CHARS))}: " if is_dict else ""
        yield from _lines(item, indent + "  ", label, "," if index < last else "", null, limit)
    yield f"{indent}{'}' if is_dict else ']'}{after}", 0
