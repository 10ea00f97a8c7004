"""The total time of a cell: a deadline that stands still while the user thinks about a question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TotalTime:
    """Between `start` and `end`, what `start` was given is called once, after `limit_s` of time in which it did not stand still."""

    def __init__(self, limit_s: float) -> None:
        self._left_s = limit_s
        self._over: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._questions = 0

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
        if self._timer is not None:
            self._left_s = max(0.0, self._timer.when() - asyncio.get_running_loop().time())
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        if self._over is not None and not self._questions and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._left_s, self._over)
