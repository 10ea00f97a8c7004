"""Names and what they do as two columns of plain text that no line of 80 characters cuts.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap

WIDTH = 79
NAME_WIDTH = 24
"""A longer name has its text below it."""


def two_columns(rows: Iterable[tuple[str, str]], indent: str = "  ") -> Iterator[str]:
    below = " " * (len(indent) + NAME_WIDTH)
    for name, what in rows:
        first, *others = wrap(what, WIDTH - len(below), break_long_words=False, break_on_hyphens=False)
        if len(name) > NAME_WIDTH - 2:
            yield f"{indent}{name}"
            yield f"{below}{first}"
        else:
            yield f"{indent}{name:<{NAME_WIDTH}}{first}"
        yield from (f"{below}{line}" for line in others)
