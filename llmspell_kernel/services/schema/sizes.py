"""How large a value may be that is checked, completed or inferred from, as none of that work can be stopped."""

from __future__ import annotations

from typing import Any

import msgspec

from llmspell_kernel.errors import ArgumentError

MAX_TEXT = 2_000_000
"""Bytes of a value as JSON."""


def text_bytes(value: Any) -> int:
    return len(msgspec.json.encode(value))


def check_size(size_bytes: int) -> None:
    if size_bytes > MAX_TEXT:
        raise ArgumentError(f"of more than {MAX_TEXT:,} bytes as JSON, defaults included, no value is checked and no schema inferred")
