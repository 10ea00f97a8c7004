"""Regular expressions of scripts, models and tools, compiled by the library regex.

Rules
- Every pattern that was not written by us is compiled here, and nowhere else.
- The library compiles the body of a repeat once for each time that it is there at the least, and once more: 19 groups within each other, each
  `{1,9}`, are 130 characters and 900 MB, and nothing else runs meanwhile.  So its nodes are counted first, on the library's own reading of the
  pattern: another one would differ from it somewhere, in flags, comments or sets, and what differs can be used.
- What is kept is counted in nodes too, and the library keeps nothing: it would keep 500 patterns of any size.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from llmspell_kernel.errors import ArgumentError

MAX_CHARS = 2_000
MAX_NODES = 10_000
"""Of about a kilobyte each at the most."""
MAX_LITERAL = 500
"""Characters in a row that stand for themselves.  Before its first search the library makes a table of them, in a time that grows with their cube
(1.8 s for 2,000 times `a`) and that no timeout ends."""
MAX_KEPT_NODES = 50_000
MAX_KEPT = 256
_PURGED_AFTER = 1_000
"""Patterns, of each of which the library remembers the text for ever, if it is not told to forget."""
_FOLDED_NODES = 104
"""A set that folds case to more than one character, as `(?if)[a-z]`, becomes an alternative for each character that does."""


def compiled(pattern: str) -> Any:
    """Raises ArgumentError for what is no pattern, and for one that is too large."""
    return _KEPT.get(pattern) or _KEPT.keep(pattern, *_compiled(pattern))


def _compiled(pattern: str) -> tuple[Any, int]:
    if len(pattern) > MAX_CHARS:
        raise ArgumentError(f"{_short(pattern)} has {len(pattern):,} characters; a regular expression may have {MAX_CHARS:,}")
    import regex  # 30 ms, which a kernel that looks for nothing does without

    try:
        read = _read(pattern)
        if _literal(read) > MAX_LITERAL:
            raise ArgumentError(f"{_short(pattern)} has a text of more than {MAX_LITERAL:,} characters in it; look for less of it")
        nodes = _nodes(read)
        if nodes > MAX_NODES:
            raise ArgumentError(
                f"{_short(pattern)} becomes more than {MAX_NODES:,} nodes when its repeats are written out; repeat less often, or fewer"
                " groups within each other"
            )
        return regex.compile(pattern, cache_pattern=False), nodes
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        raise ArgumentError(f"{_short(pattern)} is no regular expression: {error}") from None


def _literal(node: Any) -> int:
    """How many characters that stand for themselves may follow each other, in one alternative of each; more rather than less."""
    from regex import _regex_core as library

    if isinstance(node, (library.Character, library.SetBase)):
        return 1
    lengths = [_literal(part) for part in _parts(node)]
    return max(lengths, default=0) if isinstance(node, library.Branch) else sum(lengths)


def _nodes(read: Any) -> int:
    """Those that the library makes of it, or a few more; at least one beyond MAX_NODES where there are too many."""
    total = 0
    left = [(read, 1)]
    while left and total <= MAX_NODES:
        node, times = left.pop()
        total += times * _own_nodes(node)
        times *= 1 + getattr(node, "min_count", 0)
        left += [(part, times) for part in _parts(node)]
    return total


def _read(pattern: str) -> Any:
    """As the library reads it, before it writes out any repeat."""
    from regex import _regex_core as library

    flags = 0
    while True:
        source = library.Source(pattern)
        info = library.Info(flags, source.char_type, {})
        info.guess_encoding = library.UNICODE
        source.ignore_space = bool(info.flags & library.VERBOSE)
        try:
            return library._parse_pattern(source, info)
        except library._UnscopedFlagSet:  # flags for all of it were met: from the beginning, with them
            flags = info.global_flags


def _own_nodes(node: Any) -> int:
    from regex import _regex_core as library

    folds = getattr(node, "case_flags", 0) & library.FULLIGNORECASE == library.FULLIGNORECASE
    return _FOLDED_NODES if folds and isinstance(node, (library.Range, library.SetBase)) else 1


def _parts(value: Any) -> Iterator[Any]:
    """The nodes right below one, whatever it calls them."""
    from regex import _regex_core as library

    for held in vars(value).values():
        for one in held if isinstance(held, (list, tuple)) else (held,):
            if isinstance(one, library.RegexBase):
                yield one


def _short(pattern: str) -> str:
    return f"{pattern!r:.100}"


class _Kept:
    """Patterns that were used last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._patterns: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._nodes = 0
        self._made = 0

    def get(self, pattern: str) -> Any:
        with self._lock:
            found = self._patterns.get(pattern)
            if found is None:
                return None
            self._patterns.move_to_end(pattern)
            return found[0]

    def keep(self, pattern: str, made: Any, nodes: int) -> Any:
        with self._lock:
            self._forget_of_library()
            if pattern not in self._patterns:
                self._patterns[pattern] = made, nodes
                self._nodes += nodes
            while self._nodes > MAX_KEPT_NODES or len(self._patterns) > MAX_KEPT:
                _, (_, gone) = self._patterns.popitem(last=False)
                self._nodes -= gone
        return made

    def _forget_of_library(self) -> None:
        import regex

        self._made += 1
        if self._made % _PURGED_AFTER == 0:
            regex.purge()


_KEPT = _Kept()
