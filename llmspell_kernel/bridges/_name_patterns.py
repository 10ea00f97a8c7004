"""Patterns of names of models and tools, held against a name that a script chooses, while the session waits.

A pattern takes longer the longer the name is, and a name may be as long as a message: so none is looked at that is longer than any name there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

MOST_CHARS = 200
"""Of a pattern and of a name: the longest pattern takes 30 µs then (measured).  Tools have at most 64, and models hardly more than 100."""


def is_too_long(name: str) -> bool:
    """Is it the name of nothing?  Who watches must then watch, and who picks some calls out has none of them."""
    return len(name) > MOST_CHARS


def fits(name: str, patterns: Sequence[str]) -> bool:
    """Does one of the patterns fit?  None does where a name is too long."""
    return not is_too_long(name) and any(fnmatchcase(name, pattern) for pattern in patterns)


def prepare(patterns: Sequence[str]) -> None:
    """Has patterns compiled, which takes 1.5 ms for the longest, and is to be done in a thread: `fnmatch` keeps what comes of it."""
    for pattern in patterns:
        fnmatchcase("", pattern)
