"""Regular expressions on texts that nobody trusts, by the library regex: within a time, and letting other threads go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from llmspell_kernel.errors import ArgumentError, LimitError

TIME_S = 1.0
"""For one pattern on one text."""
MOST_FOUND = 10_000
"""In one text; what is more is one error."""


class Found(NamedTuple):
    """A place in a text, and what stands there."""

    start: int
    end: int
    kind: str


def found_by(pattern: str, text: str, kind: str) -> Iterator[tuple[Found, str]]:
    """Every place where a pattern matches, with its text.  Raises LimitError for one that takes too long, ArgumentError for what is none."""
    ends = time.monotonic() + TIME_S
    try:
        for number, match in enumerate(_compiled(pattern).finditer(text, timeout=TIME_S, concurrent=True)):
            if number >= MOST_FOUND or time.monotonic() > ends:
                raise _too_much(kind)
            if match.end() > match.start():
                yield Found(match.start(), match.end(), kind), match.group()
    except TimeoutError:
        raise _too_much(kind) from None


def matches(pattern: str, text: str) -> bool:
    try:
        return _compiled(pattern).search(text, timeout=TIME_S, concurrent=True) is not None
    except TimeoutError:
        raise _too_much("pattern") from None


def check_pattern(pattern: str) -> None:
    """Raises ArgumentError for what is no pattern."""
    _compiled(pattern)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    import regex  # 30 ms, which a kernel that looks for nothing does without

    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ArgumentError(f"{pattern!r:.100} is no regular expression: {error}") from None


def _too_much(kind: str) -> LimitError:
    return LimitError(
        f"looking for '{kind}' takes more than {TIME_S:.0f} s, or finds it more than {MOST_FOUND:,} times; a pattern that backtracks"
        " on long texts must be written otherwise",
        limit="guardrail_seconds",
        value=TIME_S,
    )
