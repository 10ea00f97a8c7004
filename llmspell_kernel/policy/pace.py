"""How fast effects may follow each other: a token bucket.  Pure: who asks says what time it is."""

from __future__ import annotations

BURST_S = 1.0
"""What was not used for so long may be used at once."""


class Pace:
    """Who comes too fast waits for a turn, in the order of coming; nobody is refused."""

    def __init__(self) -> None:
        self._next_s = float("-inf")
        """When the bucket will be full again."""

    def wait_s(self, rate_per_s: float, now_s: float) -> float:
        """Takes a turn: how long to wait for it, 0 for none."""
        full_s = max(self._next_s, now_s) + 1 / rate_per_s
        self._next_s = full_s
        return max(0.0, full_s - now_s - BURST_S)
