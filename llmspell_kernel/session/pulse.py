"""Asks workers whose states run nothing, again and again, whether they still answer; one that does not is killed.

Where a script runs nobody asks: there its deadlines hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..workers.pool import Alarm, Clock, WorkerPool

if TYPE_CHECKING:
    from .script_state import ScriptState


class Pulse:
    """Beats while there is a state with a worker.  `start` may be called at any time, and again."""

    def __init__(self, states: Callable[[], Iterable[ScriptState]], pool: WorkerPool, clock: Clock | None = None) -> None:
        self._states = states
        self._pool = pool
        self._clock = clock
        self._alarm: Alarm | None = None
        self._asking: set[asyncio.Task[bool]] = set()

    def start(self) -> None:
        if self._alarm is None:
            clock = self._clock or asyncio.get_running_loop()
            self._alarm = clock.call_later(self._pool.policy.ping_s, self._beat)

    def stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for task in self._asking:
            task.cancel()

    async def asked(self) -> None:
        """Waits until those that are being asked have answered, or are gone."""
        if self._asking:
            await asyncio.wait(self._asking)

    def _beat(self) -> None:
        self._alarm = None
        living = [state for state in self._states() if state.worker is not None]
        for state in living:
            task = asyncio.create_task(state.answers())
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        if living:
            self.start()
