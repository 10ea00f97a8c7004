"""States as a file: what each went through, so that another kernel can go through it again.

Rules
- A saved file is untrusted input: it has the size caps and the checksums of a cassette, and nothing in it is run but the scripts that it
  says it holds, in a sandboxed state, with their calls answered from it.
- What a state was narrowed to is saved with it: resuming widens nothing.
- No secret gets into it, wherever it stands: in code, in globals that Python set, in arguments and answers.  Then nothing is saved.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from ..errors import ConfigError, LoadError, ValueCrossingError
from ..journal.cassette import Entry, read_entry
from ..journal.checked_lines import read_lines, with_sum
from ..journal.instants import Seconds
from ..journal.whole_files import read_capped, replace_file
from ..policy.decide import Grants
from ..redaction import Redactor
from ..values import loads
from .history import PastCell, entries_of_cells
from .script_state import FunctionCall

FORMAT = 1
T = TypeVar("T")
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Entropy = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{32})?\Z")]


class SavedCell(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One cell: `code`, or `function` or the number of a `callback` with its arguments; none of them for globals that Python set."""

    number: Count
    chunk: str
    code: str | None = None
    function: str = ""
    callback: Count = 0
    arguments: msgspec.Raw = msgspec.Raw(b"[]")
    inputs: dict[str, msgspec.Raw] = {}
    failed: bool = False
    left_out: str = ""
    began_s: Seconds = 0.0
    times: list[Seconds] = []
    calls: Count = 0


class SavedState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`cells` follow in the file, and after each of them its calls; a state that went through none is not saved."""

    name: str
    engine: str
    seed: Seed
    entropy: Entropy
    opened_s: Seconds
    cells: Annotated[int, msgspec.Meta(ge=1)]
    allow: list[list[str]] = []
    deny: list[list[str]] = []


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    llmspell_states: int
    states: Count


class Saved(msgspec.Struct):
    """A state that was read: `past` are its cells, whose entries answer their calls."""

    state: SavedState
    past: list[PastCell]


def save(file: Path, states: Iterable[tuple[SavedState, Sequence[PastCell]]], redactor: Redactor) -> int:
    """Writes states to a file, which it replaces; how many cells there are.  Raises OSError, and ConfigError where a secret would be saved."""
    lines, cells, count = [], 0, 0
    for state, past in states:
        count += 1
        lines.append(_checked(msgspec.json.encode(state), redactor, state, "its name"))
        entries, times, owned = entries_of_cells(past)
        for cell, positions in zip(past, owned, strict=True):
            cells += 1
            its = sorted(positions.own | positions.late)
            saved = _saved(cell, [times[position] for position in its])
            lines.append(_checked(msgspec.json.encode(saved), redactor, state, f"the code of {cell.chunk} or what it got"))
            lines += [_checked(msgspec.json.encode(entries[position]), redactor, state, f"a call of {cell.chunk}") for position in its]
    header = msgspec.json.encode(_Header(FORMAT, count))
    os.close(replace_file(file, b"".join(with_sum(line) for line in [header, *lines])))
    return cells


def _checked(line: bytes, redactor: Redactor, state: SavedState, what: str) -> bytes:
    if redactor.active and redactor.finds(line.decode()):
        raise ConfigError(redactor.redact(f"the states are not saved: in '{state.name}', {what} holds a secret; reset that state"))
    return line


def load(file: Path) -> list[Saved]:
    """Raises LoadError naming the file and the line of what is wrong."""
    reader = _Reader(read_lines(read_capped(file, "there is no such file; save states first"), file.name), file.name)
    header = reader.next(_Header)
    if header.llmspell_states != FORMAT:
        raise LoadError(f"has format {header.llmspell_states}, and this version reads {FORMAT}", file=file.name, line=1)
    found = [_state(reader) for _ in range(header.states)]
    reader.end()
    return found


class _Reader:
    """The lines one by one, each as what it must be."""

    def __init__(self, lines: list[bytes], name: str) -> None:
        self._lines = lines
        self._name = name
        self._at = 0

    def next(self, kind: type[T]) -> T:
        text = self._take()
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise self.wrong(str(error)) from None

    def entry(self) -> Entry:
        return read_entry(self._take(), self._name, self._at)

    def end(self) -> None:
        if self._at < len(self._lines):
            raise LoadError("has more than it says it has", file=self._name, line=self._at + 1)

    def _take(self) -> bytes:
        if self._at == len(self._lines):
            raise LoadError("has less than it says it has: it was cut", file=self._name, line=self._at)
        self._at += 1
        return self._lines[self._at - 1]

    def wrong(self, what: str) -> LoadError:
        """At the line that was read last."""
        return LoadError(f"is not what saved states have here: {what}", file=self._name, line=self._at)


def _state(reader: _Reader) -> Saved:
    state = reader.next(SavedState)
    if len(state.allow) != len(state.deny):
        raise reader.wrong(f"{len(state.allow)} lists of what it may call, and {len(state.deny)} of what not")
    past = []
    for _ in range(state.cells):
        cell = reader.next(SavedCell)
        if len(cell.times) != cell.calls:
            raise reader.wrong(f"{len(cell.times)} times for {cell.calls} calls")
        _check_values(reader, cell)
        entries = tuple(reader.entry() for _ in range(cell.calls))
        is_call = cell.function or cell.callback
        work = FunctionCall(cell.function, bytes(cell.arguments), cell.callback) if is_call else cell.code
        inputs = tuple((name, bytes(text)) for name, text in cell.inputs.items())
        past.append(PastCell(cell.number, cell.chunk, work, inputs, (), cell.failed, cell.left_out, entries, cell.times, cell.began_s))
    return Saved(state, past)


def _check_values(reader: _Reader, cell: SavedCell) -> None:
    """Each argument is a value of its own, and may be nested as deep as one."""
    try:
        for text in [*msgspec.json.decode(cell.arguments, type=list[msgspec.Raw]), *cell.inputs.values()]:
            loads(text)
    except (msgspec.MsgspecError, ValueCrossingError) as error:
        raise reader.wrong(str(error)) from None


def _saved(cell: PastCell, times: list[float]) -> SavedCell:
    call = cell.work if isinstance(cell.work, FunctionCall) else None
    return SavedCell(
        number=cell.number,
        chunk=cell.chunk,
        code=cell.work if isinstance(cell.work, str) else None,
        function=call.function if call is not None else "",
        callback=call.callback if call is not None else 0,
        arguments=msgspec.Raw(call.args if call is not None else b"[]"),
        inputs={name: msgspec.Raw(text) for name, text in cell.inputs},
        failed=cell.failed,
        left_out=cell.left_out,
        began_s=cell.began_s,
        times=times,
        calls=len(times),
    )


def rules_of(grants: Sequence[Grants]) -> tuple[list[list[str]], list[list[str]]]:
    """What a state was narrowed to, as it is saved."""
    return [list(rules.allow) for rules in grants], [list(rules.deny) for rules in grants]
