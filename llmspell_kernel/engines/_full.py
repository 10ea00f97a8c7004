"""What every engine says of a state that has met its limit of memory."""

from __future__ import annotations

from ..amounts import size


def memory_full(memory_bytes: int) -> str:
    return f"the state's memory limit of {size(memory_bytes)} was met; drop what is no longer needed, or reset the state"
