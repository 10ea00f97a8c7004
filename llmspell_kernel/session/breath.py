"""Keeps calls that come all at once from holding up the event loop: each takes little, hundreds in one turn of the loop take a second."""

from __future__ import annotations

import asyncio
import time
from collections import deque

TURN_S = 0.02
"""How long calls may work in a turn of the loop before others wait for the next: an interrupt, or another state, waits as long."""
AT_A_TIME = 2
"""How many of those that wait go on in each turn: one alone would cost each call a turn, which takes a third as long as the call."""


class Breath:
    """`taken` is awaited before each piece of work; in a turn that has worked for long enough it waits for a later one, in the order of coming."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        """When the first piece of this turn's work began."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def taken(self) -> None:
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s = now_s
            asyncio.get_running_loop().call_soon(self._next_turn)
        if self._waiting or now_s - self._began_s >= TURN_S:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn

    def _next_turn(self) -> None:
        self._began_s = None
        for _ in range(min(AT_A_TIME, len(self._waiting))):
            turn = self._waiting.popleft()
            if not turn.done():  # else it was given up
                turn.set_result(None)
        if self._waiting:
            self._began_s = time.monotonic()
            asyncio.get_running_loop().call_soon(self._next_turn)
