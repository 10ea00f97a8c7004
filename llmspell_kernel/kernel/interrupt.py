"""Interrupts while a script cell waits: the stock handler does not wake a waiting event loop (ipykernel issue 881)."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def early_interrupt(note: Callable[[], None]) -> Iterator[None]:
    """Within it, SIGINT calls `note` at once, wherever the main thread is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: note())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Within it, SIGINT calls `stop` on the running event loop.  In a thread other than the main one signals cannot be taken."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def handle(*_: Any) -> None:
        loop.call_soon_threadsafe(stop)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
