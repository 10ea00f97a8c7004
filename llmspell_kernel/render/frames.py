"""Which frames of a stack are shown: those that a recursion repeats once, with their count, and of a long rest its two ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import Frame

FIRST_FRAMES, LAST_FRAMES = 12, 4
"""Of a deep stack: where it broke and where it began."""
MAX_CYCLE = 4
"""Functions that call each other in turn, seen as one repeat."""
FEWEST_LEFT_OUT = 3
"""A line that counts says no more than two frames do."""


class LeftOut(NamedTuple):
    """How many frames are not shown here; `cycle` is how many of those before it they repeat, 0 for none."""

    frames: int
    cycle: int

    def __str__(self) -> str:
        same = {0: "", 1: " of the same"}.get(self.cycle, f" of the same {self.cycle}")
        return f"… {self.frames:,} more{same}"


def shown_frames(frames: Sequence[Frame]) -> list[Frame | LeftOut]:
    """Frames in their order, innermost first, and how many were left out between them."""
    shown = _without_repeats(frames)
    middle = shown[FIRST_FRAMES : len(shown) - LAST_FRAMES]
    if len(middle) <= 1:
        return shown
    count = sum(part.frames if isinstance(part, LeftOut) else 1 for part in middle)
    return [*shown[:FIRST_FRAMES], LeftOut(count, 0), *shown[-LAST_FRAMES:]]


def _without_repeats(frames: Sequence[Frame]) -> list[Frame | LeftOut]:
    shown: list[Frame | LeftOut] = []
    at = 0
    while at < len(frames):
        cycle, repeats = _repeat(frames, at)
        shown += frames[at : at + cycle]
        if repeats:
            shown.append(LeftOut(repeats, cycle))
        at += cycle + repeats
    return shown


def _repeat(frames: Sequence[Frame], at: int) -> tuple[int, int]:
    """The shortest cycle that repeats from here, and how many frames after its first turn do nothing else; (1, 0) for none."""
    for cycle in range(1, MAX_CYCLE + 1):
        end = at + cycle
        while end < len(frames) and frames[end] == frames[end - cycle]:
            end += 1
        repeats = (end - at - cycle) // cycle * cycle
        if repeats >= FEWEST_LEFT_OUT:
            return cycle, repeats
    return 1, 0
