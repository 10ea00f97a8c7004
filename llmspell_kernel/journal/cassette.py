"""The text of a cassette: calls with their answers, one a line.  Pure.

Rules
- A cassette is untrusted input: its size, the checksum of each line and every field are checked while they are read, and nothing in it is run.
- What differs from run to run (times, ids, the order in which calls ended) is not in it: recording the same answers gives the same bytes.
  The one time in it is that of the clocks of scripts, which a new recording takes over from the old one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from ..errors import LoadError, ValueCrossingError
from .canonical import canonical, canonical_arguments
from .checked_lines import read_lines, with_sum
from .instants import Seconds
from .recorded_values import check_recorded
from .writable import writable

FORMAT = 1


class Used(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """What the recorded call cost when it was made."""

    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = None
    finish_reason: str = ""


class Failure(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """The error that was answered."""

    code: str
    message: str
    name: str = ""
    retryable: bool = False
    capability: str = ""
    limit: str = ""
    value: float = 0
    used: float = 0


class Entry(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One call and what came of it.

    `arguments` is canonical; there is an `answer`, or a `failure`, or the call was `given_up` before either.  `opener` names the call that gave
    the thing whose method this is, as journal.tape names calls.  `invoked` are the calls of the script's functions meanwhile, in order: the
    function, named by the call that was given it and its place there ("" = this call), and its arguments.  `after` names a call that was
    asked later and answered earlier, where the script may have seen that.  `passed_s` is
    the time that the call was asked to let pass.
    """

    call: str
    arguments: msgspec.Raw
    answer: msgspec.Raw = msgspec.Raw(b"null")
    failure: Failure | None = None
    given_up: bool = False
    chunks: list[str] = []
    invoked: list[tuple[str, int, msgspec.Raw]] = []
    used: Used | None = None
    opener: str = ""
    after: str = ""
    passed_s: Seconds = 0.0


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    llmspell_cassette: int
    clock_s: Seconds


class Cassette(NamedTuple):
    """`clock_s` is what the clocks of scripts show when a recording or replay begins, in Unix seconds."""

    clock_s: float
    entries: list[Entry]


_read_entry = msgspec.json.Decoder(Entry).decode
_read_header = msgspec.json.Decoder(_Header).decode


def header(clock_s: float) -> bytes:
    return with_sum(msgspec.json.encode(_Header(FORMAT, clock_s)))


def line_of(entry: Entry) -> bytes:
    try:
        return with_sum(msgspec.json.encode(entry))
    except UnicodeEncodeError:
        return with_sum(msgspec.json.encode(writable(entry)))


def text_of(clock_s: float, entries: Iterable[Entry]) -> bytes:
    return header(clock_s) + b"".join(map(line_of, entries))


def read(data: bytes, name: str) -> Cassette:
    """What a cassette's text holds.  Raises LoadError naming the file and the line of the first thing that is wrong."""
    first, *lines = read_lines(data, name)
    try:
        head = _read_header(first)
    except (msgspec.MsgspecError, UnicodeError):
        raise LoadError("is not a cassette: its first line does not say so", file=name, line=1) from None
    if not 1 <= head.llmspell_cassette <= FORMAT:
        raise LoadError(
            f"has format {head.llmspell_cassette}, and this version reads up to {FORMAT}; update llmspell, or record it again",
            file=name,
            line=1,
        )
    return Cassette(head.clock_s, [read_entry(line, name, number) for number, line in enumerate(lines, 2)])


def read_entry(text: bytes, name: str, line: int) -> Entry:
    """Raises LoadError for what is no call as `line_of` writes them."""
    try:
        entry = _read_entry(text)
        canonical(entry.answer)
        check_recorded(entry.answer)
        for *_, arguments in entry.invoked:
            canonical_arguments(arguments)
            check_recorded(arguments)
        well_formed = canonical_arguments(entry.arguments) == bytes(entry.arguments)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueCrossingError) as error:
        raise LoadError(f"is no recorded call: {error}", file=name, line=line) from None
    if not well_formed:
        raise LoadError("is no recorded call: it is not in the form that they are written in", file=name, line=line)
    return entry
