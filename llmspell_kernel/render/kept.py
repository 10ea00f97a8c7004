"""What a view keeps of values that scripts and models sent: enough to show, never all of it."""

from __future__ import annotations

from typing import Any

from ..values import MAX_DEPTH, Opaque, Value
from .pretty import scalar
from .text import clip

ITEM_CHARS = 8
"""Charged for each part of a value besides its text, so that a million numbers do not count as nothing."""
_MORE = Opaque("…")


class Room:
    """Characters left to keep."""

    def __init__(self, limit_chars: int) -> None:
        self.left = limit_chars

    def take(self, text: str, limit: int) -> str:
        """As much of the text as there is room for, up to `limit`."""
        part = text[: max(0, min(limit, self.left))]
        self.left -= len(part)
        return part

    def keep(self, value: Value, limit: int) -> Value:
        """A copy of the value of about `limit` characters at most, the cut marked by an ellipsis."""
        own = Room(min(limit, self.left))
        granted = own.left
        kept = _cut(value, own, 0)
        self.left -= granted - own.left
        return kept


def _cut(value: Any, room: Room, depth: int) -> Any:
    room.left -= ITEM_CHARS
    if room.left <= 0 or depth > MAX_DEPTH + 1:
        return [] if depth == 0 and isinstance(value, list) else _MORE
    if isinstance(value, str):
        return _text(value, room)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Opaque(scalar(value) or "")
    if isinstance(value, Opaque):
        return Opaque(_text(value.text, room))
    if isinstance(value, dict):
        return _cut_dict(value, room, depth)
    return _cut_list(value, room, depth) if isinstance(value, list) else value


def _cut_list(items: list[Any], room: Room, depth: int) -> list[Any]:
    out = []
    for item in items:
        out.append(_cut(item, room, depth + 1))
        if room.left <= 0:
            break
    return out


def _cut_dict(items: dict[str, Any], room: Room, depth: int) -> dict[str, Any]:
    out = {}
    for key, item in items.items():
        out[_text(str(key), room)] = _cut(item, room, depth + 1)
        if room.left <= 0:
            break
    return out


def _text(text: str, room: Room) -> str:
    kept = clip(text, max(1, room.left))
    room.left -= len(kept)
    return kept
