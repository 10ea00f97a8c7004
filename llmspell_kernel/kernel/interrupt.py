"""Interrupts while a script cell waits: the stock handler does not wake a waiting event loop (ipykernel issue 881)."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import NOT_BEGUN


@contextmanager
def handling(handler: Callable[..., Any]) -> Iterator[None]:
    """Within it, SIGINT calls `handler` at once, wherever the main thread is.  In another thread signals cannot be taken."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class EarlyStop:
    """A stop that came before a script could take it: it ends the cell when it begins, and is forgotten with its cell."""

    asked = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        self.asked = False
        with handling(lambda *_: setattr(self, "asked", True)):
            try:
                yield
            finally:
                self.asked = False

    @contextmanager
    def python_lines(self) -> Iterator[None]:
        """Around Python above a script, where a stop is Python's own: KeyboardInterrupt, at once."""
        with handling(signal.default_int_handler):
            if self.asked:
                raise KeyboardInterrupt(NOT_BEGUN)
            yield


class StopSignal:
    """SIGINT as a call of `stop` on the running event loop, shared by all the scripts of a session that run at the same time."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._taken = 0
        self._handler: Any = None
        self._before: Any = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Within it, SIGINT stops.  Scripts may end in any order: the handler stays until the last one's end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._taken += 1
        self._install()
        try:
            yield
        finally:
            self._taken -= 1
            # a script that outlived its cell must not take away the handler of the next one
            if not self._taken and signal.getsignal(signal.SIGINT) is self._handler:
                signal.signal(signal.SIGINT, self._before)

    def _install(self) -> None:
        if self._handler is not None and signal.getsignal(signal.SIGINT) is self._handler:
            return
        loop = asyncio.get_running_loop()
        self._handler = lambda *_: loop.call_soon_threadsafe(self._stop)
        self._before = signal.signal(signal.SIGINT, self._handler)
