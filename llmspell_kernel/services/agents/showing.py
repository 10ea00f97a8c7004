"""How much is shown of what a tool was given and gave: to the model, and to who reads the run as it happens."""

from __future__ import annotations

import msgspec

from llmspell_kernel.values import Value, counted_bytes, held_bytes

from .host import Event

RESULT_CHARS = 200_000
"""The rest is cut, and that is said."""


def cut(text: str) -> str:
    return text if len(text) <= RESULT_CHARS else f"{text[:RESULT_CHARS]}\n(cut after {RESULT_CHARS:,} of {len(text):,} characters)"


def shown(value: Value) -> Value:
    """In an event, which may wait long to be read: the value or, where it counts more than is shown, the beginning of its text."""
    if isinstance(value, str):
        return cut(value)
    written = msgspec.json.encode(value)
    is_small = len(written) <= RESULT_CHARS and counted_bytes(written, RESULT_CHARS) <= RESULT_CHARS
    return value if is_small else cut(written.decode())


def chars_of_event(event: Event) -> int:
    """What all that it holds counts."""
    return sum(len(value) if isinstance(value, str) else held_bytes(value, RESULT_CHARS) for value in event.values())
