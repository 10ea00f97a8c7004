"""What a state went through, so that it can go through it again: its finished cells, with the answers that their calls got.

Bounded in bytes.  A state whose history is full goes on as before, and cannot be restored; that is told when it is lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..journal.cassette import Entry
from .transcript import Made, entries_of, size_of, times_of

if TYPE_CHECKING:
    from .script_state import FunctionCall

_NUMBER = re.compile(r"cell\[(\d+)\]")


class PastCell(msgspec.Struct, frozen=True):
    """One cell that ended, or one global that Python set (`work` is then None).

    `inputs` are globals set before it, in the written form; `calls` are in the order in which they were answered, those of what the cell left
    in the background behind the first `at_end`.  `left_out` says why it cannot be run again, "" where it can.
    """

    number: int
    chunk: str
    work: str | FunctionCall | None
    inputs: Sequence[tuple[str, bytes]] = ()
    calls: Sequence[Made] = ()
    failed: bool = False
    left_out: str = ""
    entries: Sequence[Entry] = ()
    """In place of `calls`, of a cell that was read from a file, in the order in which they were asked."""
    times: Sequence[float] = ()
    """What clocks of scripts showed after each of those."""
    began_s: float = 0.0
    """What they showed at its start."""
    at_end: int = 0
    """How many of its calls had been answered when it ended."""

    @property
    def size_bytes(self) -> int:
        code = self.work if isinstance(self.work, str) else self.work.args.decode() if self.work is not None else ""
        given = sum(len(text) for _, text in self.inputs)
        return 200 + len(code) + given + sum(made.size_bytes for made in self.calls) + sum(map(size_of, self.entries))

    @property
    def count(self) -> int:
        """The number that a notebook shows beside the cell; 0 for what is no cell of it."""
        found = _NUMBER.fullmatch(self.chunk)
        return int(found[1]) if found else 0


class History(msgspec.Struct):
    """`full` says why the state cannot be restored, "" where it can."""

    most_bytes: int
    cells: list[PastCell] = msgspec.field(default_factory=list)
    full: str = ""
    _bytes: int = 0

    def add(self, cell: PastCell, calls_bytes: int = 0) -> None:
        """`calls_bytes` is what its calls took, also where they were too large to be kept."""
        if not self.most_bytes:  # who wants none kept
            return
        self._count(max(cell.size_bytes, calls_bytes))
        if not self.full:
            self.cells.append(cell)

    def grew(self, calls: Sequence[Made], size_bytes: int) -> None:
        """What a cell has left in the background made a call more; `calls` are that cell's, which may have been taken back since."""
        if any(cell.calls is calls for cell in reversed(self.cells)):
            self._count(size_bytes)

    def _count(self, size_bytes: int) -> None:
        self._bytes += size_bytes
        if self._bytes > self.most_bytes:
            self.cells.clear()
            self.full = f"its cells and their answers take more than limits.history_bytes, {self.most_bytes:,} bytes"

    def replace(self, cells: Sequence[PastCell]) -> None:
        self.cells, self.full = [], ""
        self._bytes = 0
        for cell in cells:
            self.add(cell)

    def up_to(self, count: int) -> list[PastCell]:
        """Through the last run of the cell that a notebook shows with that number, or a lower one."""
        last = max((at for at, cell in enumerate(self.cells) if 0 < cell.count <= count), default=-1)
        return self.cells[: last + 1]

    @property
    def numbers(self) -> list[int]:
        """Of its cells, those that a notebook shows."""
        return sorted({cell.count for cell in self.cells if cell.count})

    def __bool__(self) -> bool:
        return bool(self.cells)


class Owned(NamedTuple):
    """Positions of a cell's entries: its own, and those of what it left in the background."""

    own: set[int]
    late: set[int]


def entries_of_cells(past: Sequence[PastCell]) -> tuple[list[Entry], list[float], list[Owned]]:
    """The entries of all calls of all cells, named together as one cell may read what another opened, what clocks showed after each, and whose
    they are."""
    entries = [entry for cell in past for entry in cell.entries]
    times = [time_s for cell in past for time_s in cell.times]
    owned = [Owned(set(), set()) for _ in past]
    position = 0
    for cell, positions in zip(past, owned, strict=True):
        positions.own.update(range(position, position + len(cell.entries)))
        position += len(cell.entries)
    calls = [(made, at, number >= cell.at_end) for at, cell in enumerate(past) for number, made in enumerate(cell.calls)]
    for place, (_, at, is_late) in enumerate(sorted(calls, key=lambda one: one[0].place), len(entries)):
        owned[at][is_late].add(place)
    answered = sorted((made for made, *_ in calls), key=lambda made: made.answered)
    return entries + entries_of(answered), times + times_of(answered), owned
