"""What stands in no text alone, and in several that are read as one: `a@` and `b.io`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from .searching import Found

BLANK = "\n"
"""In place of what was found in a text alone and is seen to there, or it would be found again with a word of the next text at its end."""
GLUES = ("", "\n")
"""Some providers put texts side by side, some begin a line with each."""


def kinds_across(texts: Sequence[str], search: Callable[[str], Iterable[Found]]) -> Iterator[str]:
    """The kinds of what is found in several of them together; what is only white is nothing."""
    texts = [text for text in texts if text]
    for glue in GLUES if len(texts) > 1 else ():
        joined = glue.join(texts)
        starts = [0, *accumulate(len(text) + len(glue) for text in texts[:-1])]
        for found in search(joined):
            if joined[found.start : found.end].strip() and _is_across(found, starts, texts):
                yield found.kind


def _is_across(found: Found, starts: Sequence[int], texts: Sequence[str]) -> bool:
    """Does it begin in one text and end in a later one?  The glue before a text is part of none."""
    first, last = bisect_right(starts, found.start) - 1, bisect_right(starts, found.end - 1) - 1
    return first + (found.start >= starts[first] + len(texts[first])) < last
