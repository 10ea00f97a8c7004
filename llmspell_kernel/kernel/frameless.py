"""Errors that front ends show by lines of ours: nobody sees the Python frames that a script's error or a wrong setting came through."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from ..errors import Interrupted, SpellError
from ..render.text import clean

E = TypeVar("E", bound=SpellError)


def with_lines(error: E, name: str, lines: list[str]) -> E:
    """The same error under another name; it stays catchable as what it is.  Its text is fit to be printed by whoever shows it alone."""
    shown = {"_render_traceback_": lambda self: lines, "__str__": lambda self: clean(self.message)}
    error.__class__ = type(name, (type(error),), shown)
    return error


def without_frames(error: E) -> E:
    """One that its text alone explains: a wrong word or setting is no fault in any code."""
    from ..render.errors import traceback_lines

    return with_lines(error, type(error).__name__, traceback_lines(error, {}, colour=True))


def stopped_task(error: Interrupted) -> BaseException:
    """A stop as it comes out of a task, where a real KeyboardInterrupt would end the kernel's event loop."""
    from ..render.errors import traceback_lines

    return named_stop(asyncio.CancelledError, error.message, traceback_lines(error, {}, colour=True))


def named_stop(kind: type[BaseException], message: str, lines: list[str]) -> BaseException:
    """An exception called KeyboardInterrupt, the name that front ends and nbclient look for."""
    named: type[BaseException] = type("KeyboardInterrupt", (kind,), {"_render_traceback_": lambda self: lines})
    return named(message)
