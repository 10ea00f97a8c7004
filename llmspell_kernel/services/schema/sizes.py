"""How large a value may be that is checked, completed or inferred from, as none of that work can be stopped; and what one counts that is kept."""

from __future__ import annotations

from typing import Any

import msgspec

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.values import counted_bytes

MAX_TEXT = 2_000_000
"""Bytes of a value as JSON."""


def text_bytes(value: Any) -> int:
    return len(msgspec.json.encode(value))


def held_bytes(value: Any, most: int) -> int:
    """What data counts that the host keeps, as values of scripts do: 180 KB of `[],` are 4 MB of lists.  Counting ends soon after `most`."""
    return counted_bytes(msgspec.json.encode(value), most)


def check_size(size_bytes: int) -> None:
    if size_bytes > MAX_TEXT:
        raise ArgumentError(f"of more than {MAX_TEXT:,} bytes as JSON, defaults included, no value is checked and no schema inferred")
