"""Imports without the garbage collector: what modules are made of stays, and looking through it again and again takes a quarter of their time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """No garbage is looked for in the block; none is left behind that would not be found after it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def keep_what_is_loaded() -> None:
    """All that is there stays to the end of the process, so that no collection need look at it: before any code of a user has run.

    Called within `without_collections`, whose end would look at it once more (25 ms of a kernel's start).
    """
    gc.freeze()
