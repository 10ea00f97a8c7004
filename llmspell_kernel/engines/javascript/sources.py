"""From the engine's positions to the reader's: which chunks are scripts, and where a column lies in the source as it was written."""

from __future__ import annotations

from ...protocol.steps import Place
from .calls import told
from .rewrite import Insertion, Rewritten, parse

KEPT_BYTES = 4 * 1024 * 1024
"""How much code is kept to look into; the oldest chunks go first, and lose only what the two notes below say."""

_FUNCTIONS = frozenset(
    {
        "function_declaration",
        "function_expression",
        "arrow_function",
        "method_definition",
        "generator_function",
        "generator_function_declaration",
    }
)


class Sources:
    """Every chunk a state has run, with what was inserted into it and, while there is room, the code that ran."""

    def __init__(self) -> None:
        self._insertions: dict[str, list[Insertion]] = {}
        self._code: dict[str, bytes] = {}
        self._kept_bytes = 0

    def add(self, chunk: str, source: Rewritten) -> None:
        self._insertions[chunk] = source.insertions
        self._kept_bytes += len(source.code) - len(self._code.pop(chunk, b""))
        self._code[chunk] = source.code
        while self._kept_bytes > KEPT_BYTES:
            oldest = next(iter(self._code))
            self._kept_bytes -= len(self._code.pop(oldest))

    def frames(self, stack: str) -> list[Place]:
        """The script's own frames of an engine's stack text, innermost first."""
        places = (self._place(line.strip()) for line in stack.split("\n"))
        return [place for place in places if place is not None]

    def told(self, message: str, stack: str) -> str:
        """The message of a TypeError, with what the source says of its place (see calls.py)."""
        for line in stack.split("\n"):
            place = self._raw(line.strip())
            if place is not None:
                chunk, row, column, _ = place
                code = self._code.get(chunk, b"")
                return told(message, code, row, column, (self._code[other] for other in reversed(self._code) if other != chunk))
        return message

    def _place(self, line: str) -> Place | None:
        raw = self._raw(line)
        return None if raw is None else self._found(*raw)

    def _raw(self, line: str) -> tuple[str, int, int, str] | None:
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
            if chunk in self._insertions and row.isdigit() and position.isdigit():
                function = text[: start - 2] if start else ""
                return chunk, int(row), int(position), "" if function.startswith("<") else function
        return None

    def _found(self, chunk: str, line: int, column: int, function: str) -> Place:
        """The place in the reader's source.  The first expression of a function may be reported as the function's own start, or the chunk's:
        the line is then left out, as a wrong one is worse."""
        code = self._code.get(chunk, b"")
        if function and code and not _is_inside_a_function(code, line, column):
            return Place(chunk, 0, 0, function)
        return Place(chunk, line, self._column(chunk, line, column), function)

    def _column(self, chunk: str, line: int, column: int) -> int:
        """The engine counts bytes of the code that ran, from 1; the reader counts characters of the source, from 1."""
        at, moved = column - 1, 0
        for insertion in self._insertions[chunk]:
            if insertion.line == line and insertion.column + moved < at:
                moved += min(insertion.length, at - insertion.column - moved)
        code = self._code.get(chunk, b"")
        if code.isascii():
            return column - moved
        lines = code.split(b"\n")
        before = lines[line - 1][:at] if line <= len(lines) else b""
        # what was inserted is ASCII unless a class has another name, and part of the line
        return len(before.decode("utf-8", "ignore")) - moved + 1


def _is_inside_a_function(code: bytes, line: int, column: int) -> bool:
    point = (line - 1, column - 1)
    node = parse(code).descendant_for_point_range(point, point)
    while node is not None:
        if node.type in _FUNCTIONS and tuple(node.start_point) < point:
            return True
        # the initialisers of fields and static blocks run as functions, too
        if node.type in ("field_definition", "class_static_block"):
            return True
        node = node.parent
    return False
