"""What a measure gives: figures, each with its bar, and the small statistics they are made of."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """One row of the table.  `ok` is None where nothing could be measured; `samples` are the raw numbers behind it, in the unit named."""

    name: str
    measure: str
    bar: str
    measured: str
    reference: str
    ok: bool | None
    samples: Mapping[str, Sequence[float]] = {}


class Runs(NamedTuple):
    """How often to measure: what the bars ask for, or just enough to see that a measure works."""

    quick: bool = False

    def of(self, full: int, *, quick: int) -> int:
        return quick if self.quick else full


class Unmeasurable(Exception):
    """A measure cannot be taken here; the text says why."""


Measure = Callable[[Runs], Iterable[Figure]]


class Language(NamedTuple):
    """A script language as the measures name it: its own kernel, its magic in the plain kernel, its engine in a session."""

    title: str
    short: str
    kernel: str
    magic: str
    engine: str


LUA = Language("Lua", "lua", "llmspell-lua", "%%lua", "lua")
JAVASCRIPT = Language("JavaScript", "js", "llmspell-js", "%%js", "javascript")
LANGUAGES = (LUA, JAVASCRIPT)


def median(samples: Sequence[float]) -> float:
    return statistics.median(samples)


def percentile(samples: Sequence[float], part: float) -> float:
    """The sample below which that part of all lies, between neighbours by straight line."""
    ordered = sorted(samples)
    at = (len(ordered) - 1) * part
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:,.0f} ms"


def failed(name: str, reason: str) -> Figure:
    return Figure(name, "could not be measured", "", reason, "", None)
