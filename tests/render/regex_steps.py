"""How many characters a regular expression looks at, counted by a matcher of our own that backtracks as Python's does.

Python's matcher runs in C, where nothing can be counted.  This one knows what our patterns use, and the tests hold its matches against
Python's.
"""

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

_parse = import_module("re._parser").parse  # what re.compile itself uses
Item = tuple[Any, Any]


class Counted:
    """Finds all matches of a pattern in a text, as `re.finditer` does, and counts each look at a character."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._items: Sequence[Item] = list(_parse(pattern.pattern))
        self.looks = 0

    def spans(self, text: str) -> list[tuple[int, int]]:
        found, at = [], 0
        while at <= len(text):
            end = next(self._ends(self._items, text, at), None)
            if end is not None:
                found.append((at, end))
            at = at + 1 if end is None or end == at else end
        return found

    def _ends(self, items: Sequence[Item], text: str, at: int) -> Iterator[int]:
        """Where the items can end that start here, what Python prefers first."""
        if not items:
            yield at
            return
        for middle in self._one(items[0], text, at):
            yield from self._ends(items[1:], text, middle)

    def _one(self, item: Item, text: str, at: int) -> Iterator[int]:
        kind, detail = str(item[0]), item[1]
        if kind == "BRANCH":
            for branch in detail[1]:
                yield from self._ends(list(branch), text, at)
        elif kind == "SUBPATTERN":
            yield from self._ends(list(detail[3]), text, at)
        elif kind == "POSSESSIVE_REPEAT":
            end = self._longest(detail, text, at)
            yield from (end,) if end - at >= detail[0] else ()
        elif kind == "MAX_REPEAT":
            yield from range(self._longest(detail, text, at), at + detail[0] - 1, -1)
        else:
            self.looks += 1
            if at < len(text) and _fits(kind, detail, text[at]):
                yield at + 1

    def _longest(self, detail: Any, text: str, at: int) -> int:
        """Where a character that may stand several times stands for the last time."""
        _, most, (single,) = detail
        end = at
        while end - at < int(most) and next(self._one(single, text, end), None) is not None:
            end += 1
        return end


def _fits(kind: str, detail: Any, char: str) -> bool:
    code = ord(char)
    match kind:
        case "LITERAL":
            return bool(code == detail)
        case "NOT_LITERAL":
            return bool(code != detail)
        case "RANGE":
            return bool(detail[0] <= code <= detail[1])
        case "IN":
            negated = bool(str(detail[0][0]) == "NEGATE")
            return any(_fits(str(part), of, char) for part, of in detail[negated:]) is not negated
    raise NotImplementedError(kind)
