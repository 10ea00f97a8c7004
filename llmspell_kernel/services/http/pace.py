"""How fast a session may begin requests: so many at once, then one at a time."""

from __future__ import annotations

import asyncio


class Pace:
    """Holds one second's worth for whoever has waited."""

    def __init__(self) -> None:
        self._next = 0.0

    async def turn(self, per_s: float) -> None:
        """Waits for a turn.  Who gives up while waiting has used the turn up: a script cannot go faster by cancelling."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now - 1) + 1 / per_s
        if self._next > now:
            await asyncio.sleep(self._next - now)
