"""Patterns of names, as in `llm.*`, and which of them stands for all that another one does.  Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any


def covers(ours: Any, theirs: Any) -> bool:
    """Whether everything that `theirs` matches is matched by `ours`; False where that cannot be told from the patterns.

    With `*` as its only wildcard, a pattern that matches the other's text can match the other's wildcards by its own `*` alone.  A set of
    characters is no such text: `*chat*` matches the text `[chat]*`, and not all that this matches.
    """
    if not isinstance(ours, str):
        return bool(ours == theirs)
    return theirs == ours or ours == "*" or (not set(ours) & set("?[]") and "[" not in theirs and fnmatchcase(theirs, ours))
