"""From the engine's positions to the reader's: which chunks are scripts, and where a column lies in the source as it was written."""

from __future__ import annotations

from ...protocol.steps import Place
from .rewrite import Insertion, Rewritten


class Sources:
    """Every chunk a state has run.  Of a chunk it keeps only the lines whose columns differ between engine and reader."""

    def __init__(self) -> None:
        self._chunks: dict[str, tuple[dict[int, bytes], list[Insertion]]] = {}

    def add(self, chunk: str, source: Rewritten) -> None:
        lines = {} if source.code.isascii() else {i: line for i, line in enumerate(source.code.split(b"\n"), 1) if not line.isascii()}
        self._chunks[chunk] = (lines, source.insertions)

    def frames(self, stack: str) -> list[Place]:
        """The script's own frames of an engine's stack text, innermost first."""
        places = (self._place(line.strip()) for line in stack.split("\n"))
        return [place for place in places if place is not None]

    def _place(self, line: str) -> Place | None:
        """`at f (cell[3]:1:13)`, or for a syntax error `at cell[3]:1:13`.  Names and chunks may hold spaces and brackets."""
        if not line.startswith("at "):
            return None
        text = line[3:]
        starts = [0]
        if text.endswith(")"):
            starts = [i + 2 for i in range(len(text)) if text.startswith(" (", i)]
            text = text[:-1]
        for start in starts:
            chunk, _, position = text[start:].rpartition(":")
            chunk, _, row = chunk.rpartition(":")
            if chunk in self._chunks and row.isdigit() and position.isdigit():
                function = text[: start - 2] if start else ""
                return Place(chunk, int(row), self._column(chunk, int(row), int(position)), "" if function.startswith("<") else function)
        return None

    def _column(self, chunk: str, line: int, column: int) -> int:
        """The engine counts bytes of the code that ran, from 1; the reader counts characters of the source, from 1."""
        lines, insertions = self._chunks[chunk]
        moved = 0
        raw = lines.get(line)
        at = column - 1
        for insertion in insertions:
            if insertion.line == line and insertion.column + moved < at:
                moved += min(insertion.length, at - insertion.column - moved)
        if raw is not None:
            # what is inserted is counted in `moved`, and is part of `raw`
            return len(raw[:at].decode("utf-8", "ignore")) - moved + 1
        return at - moved + 1
