"""A clock that goes only when a test says so.

clock = FakeClock()
session = Session(clock=clock)
clock.advance(600)
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class FakeAlarm:
    """What `call_later` gives."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeClock:
    """The two methods of an event loop that tell and keep time; it begins at 0."""

    def __init__(self) -> None:
        self._now = 0.0
        self._numbers = count()
        self._alarms: list[tuple[float, int, FakeAlarm]] = []

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object]) -> FakeAlarm:
        alarm = FakeAlarm(callback)
        heappush(self._alarms, (self._now + delay, next(self._numbers), alarm))
        return alarm

    @property
    def alarms(self) -> int:
        """How many will still go off."""
        return sum(not alarm.is_cancelled for *_, alarm in self._alarms)

    def advance(self, seconds: float) -> None:
        """Lets time pass; what is due goes off, each at its own time."""
        end = self._now + seconds
        while self._alarms and self._alarms[0][0] <= end:
            self._now, _, alarm = heappop(self._alarms)
            if not alarm.is_cancelled:
                alarm.callback()
        self._now = end
