"""How fast a session may begin requests: so many at once, then one at a time."""

from __future__ import annotations

import asyncio


class Pace:
    """Holds one second's worth for whoever has waited."""

    def __init__(self) -> None:
        self._next = 0.0

    async def turn(self, per_s: float) -> None:
        """Waits for a turn.  Who gives up while waiting has used the turn up: a script cannot go faster by cancelling."""
        if (wait_s := self.next(asyncio.get_running_loop().time(), per_s)) > 0:
            await asyncio.sleep(wait_s)

    def next(self, now: float, per_s: float) -> float:
        """Takes the next turn: how long it is until then."""
        self._next = max(self._next, now - 1) + 1 / per_s
        return max(0.0, self._next - now)
