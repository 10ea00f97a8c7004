"""Regular expressions on texts that nobody trusts, by the library regex: within a time, and letting other threads go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from llmspell_kernel.errors import LimitError

from ..patterns import compiled

TIME_S = 1.0
"""For one pattern on one text."""
TOTAL_S = 2.0
"""For all patterns on all texts of one call: a search goes on in its thread when the call is stopped, and must end soon."""
MOST_FOUND = 10_000
"""In one text; what is more is one error."""


class Found(NamedTuple):
    """A place in a text, and what stands there."""

    start: int
    end: int
    kind: str


def found_by(pattern: str, text: str, kind: str, ends: float) -> Iterator[tuple[Found, str]]:
    """Every place where a pattern matches, with its text.  `ends`: when all searches of the call must be done, on the clock `monotonic`.

    Raises LimitError for one that takes too long, ArgumentError for what is none.
    """
    seconds = _seconds_left(ends)
    own_end = time.monotonic() + seconds
    try:
        for number, match in enumerate(compiled(pattern).finditer(text, timeout=seconds, concurrent=True)):
            if number >= MOST_FOUND:
                raise _too_much(kind, TIME_S)
            if time.monotonic() > own_end:
                raise _too_much(kind, seconds)
            if match.end() > match.start():
                yield Found(match.start(), match.end(), kind), match.group()
    except TimeoutError:
        raise _too_much(kind, seconds) from None


def matches(pattern: str, text: str, ends: float) -> bool:
    seconds = _seconds_left(ends)
    try:
        return compiled(pattern).search(text, timeout=seconds, concurrent=True) is not None
    except TimeoutError:
        raise _too_much("pattern", seconds) from None


def _seconds_left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise _took_too_long()
    return min(TIME_S, left)


def check_pattern(pattern: str) -> None:
    """Raises ArgumentError for what is no pattern."""
    compiled(pattern)


def _took_too_long() -> LimitError:
    return LimitError(
        f"all patterns on all texts of the call take more than {TOTAL_S:.0f} s; give fewer, or patterns that do not backtrack",
        limit="guardrail_total_seconds",
        value=TOTAL_S,
    )


def _too_much(kind: str, seconds: float) -> LimitError:
    """`seconds` were left for it; TIME_S where it was found too often.  Not by the clock: the library counts in processor time."""
    if seconds < TIME_S:
        return _took_too_long()
    return LimitError(
        f"looking for '{kind}' takes more than {TIME_S:.0f} s, or finds it more than {MOST_FOUND:,} times; a pattern that backtracks"
        " on long texts must be written otherwise",
        limit="guardrail_seconds",
        value=TIME_S,
    )
