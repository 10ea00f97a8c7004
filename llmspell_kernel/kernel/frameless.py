"""An error that front ends show by its text alone: a wrong word or setting is no fault in our code."""

from __future__ import annotations

from ..errors import SpellError


def without_frames(error: SpellError) -> SpellError:
    """The same error; its class keeps its name and stays catchable as what it is."""
    from ..render.errors import traceback_lines

    lines = traceback_lines(error, {}, colour=True)
    error.__class__ = type(type(error).__name__, (type(error),), {"_render_traceback_": lambda self: lines})
    return error
