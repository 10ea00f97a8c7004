"""The total time of a cell: a deadline that stands still while the user thinks about a question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..workers.pool import Alarm, Clock


class TotalTime:
    """Between `start` and `end`, what `start` was given is called once, after `limit_s` of time in which it did not stand still.

    `clock` is the event loop's, unless a test brings its own.
    """

    def __init__(self, limit_s: float, clock: Clock | None = None) -> None:
        self._left_s = limit_s
        self._given_clock = clock
        self._over: Callable[[], None] | None = None
        self._alarm: Alarm | None = None
        self._due_s = 0.0
        self._questions = 0

    @property
    def _clock(self) -> Clock:
        return self._given_clock or asyncio.get_running_loop()

    def start(self, over: Callable[[], None]) -> None:
        self._over = over
        self._go_on()

    def end(self) -> None:
        self._stand()
        self._over = None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        self._questions += 1
        self._stand()
        try:
            yield
        finally:
            self._questions -= 1
            self._go_on()

    def _stand(self) -> None:
        if self._alarm is not None:
            self._left_s = max(0.0, self._due_s - self._clock.time())
            self._alarm.cancel()
            self._alarm = None

    def _go_on(self) -> None:
        if self._over is not None and not self._questions and self._alarm is None:
            self._due_s = self._clock.time() + self._left_s
            self._alarm = self._clock.call_later(self._left_s, self._over)
