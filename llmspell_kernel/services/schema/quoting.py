"""Values and schemas in messages: as much as is read of them, and no more of it is ever written out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MESSAGE_CHARS = 300


def clipped(text: str) -> str:
    return text if len(text) <= MESSAGE_CHARS else f"{text[: MESSAGE_CHARS - 1]}…"


def quoted(value: Any) -> str:
    """As Python writes it, cut after MESSAGE_CHARS: a message for each of many alternatives would else write a large value as often."""
    pieces: list[str] = []
    chars = 0
    for piece in _pieces(value):
        pieces.append(piece)
        chars += len(piece)
        if chars > MESSAGE_CHARS:
            break
    return clipped("".join(pieces))


def _pieces(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield repr(value[: MESSAGE_CHARS + 1])
        case list():
            yield "["
            for number, item in enumerate(value):
                yield ", " if number else ""
                yield from _pieces(item)
            yield "]"
        case dict():
            yield "{"
            for number, (key, item) in enumerate(value.items()):
                yield ", " if number else ""
                yield from _pieces(key)
                yield ": "
                yield from _pieces(item)
            yield "}"
        case _:
            yield repr(value)
