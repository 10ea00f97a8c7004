"""The text of a cassette: calls with their answers, one a line.  Pure.

Rules
- A cassette is untrusted input: its size, its lines and every field are checked while they are read, and nothing in it is ever run.
- Each line ends with a checksum of what stands before it, so that a damaged or edited answer is found and never replayed.
- What differs from run to run (times, ids, the order in which calls ended) is not in it: recording the same answers gives the same bytes.
- A last line without its end is left out: whoever wrote it was killed, and told nobody of its answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from ..errors import LoadError, ValueCrossingError
from .canonical import canonical

FORMAT = 1
MAX_CASSETTE_BYTES = 256 * 1024 * 1024
MAX_ENTRIES = 200_000
SUM_CHARS = 16
_SUM = b',"sum":"'
_SUM_BYTES = len(_SUM) + SUM_CHARS + len(b'"}')


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
    asked later and answered earlier, where the script may have seen that.
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


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    llmspell_cassette: int


_read_entry = msgspec.json.Decoder(Entry).decode
_read_header = msgspec.json.Decoder(_Header).decode


def header() -> bytes:
    return _line(msgspec.json.encode(_Header(FORMAT)))


def line_of(entry: Entry) -> bytes:
    return _line(msgspec.json.encode(entry))


def text_of(entries: Iterable[Entry]) -> bytes:
    return header() + b"".join(map(line_of, entries))


def read(data: bytes, name: str) -> list[Entry]:
    """The entries of a cassette's text.  Raises LoadError naming the file and the line of the first thing that is wrong."""
    if len(data) > MAX_CASSETTE_BYTES:
        raise LoadError(f"is larger than {MAX_CASSETTE_BYTES // (1024 * 1024)} MiB: is it a cassette?", file=name)
    lines = data.split(b"\n")
    if len(lines) < 2:
        raise LoadError("is not a cassette: it has no whole line; record it again", file=name)
    if len(lines) > MAX_ENTRIES + 2:
        raise LoadError(f"has more than {MAX_ENTRIES:,} calls", file=name)
    _check_header(_checked(lines[0], 1, name), name)
    return _entries(lines[1:-1], name)


def _check_header(text: bytes, name: str) -> None:
    try:
        version = _read_header(text).llmspell_cassette
    except (msgspec.MsgspecError, UnicodeError):
        raise LoadError("is not a cassette: its first line does not say so", file=name, line=1) from None
    if not 1 <= version <= FORMAT:
        raise LoadError(
            f"has format {version}, and this version reads up to {FORMAT}; update llmspell, or record it again", file=name, line=1
        )


def _entries(lines: Sequence[bytes], name: str) -> list[Entry]:
    entries: list[Entry] = []
    for number, line in enumerate(lines, 2):
        line_text = _checked(line, number, name)
        try:
            entry = _read_entry(line_text)
            for text in (entry.answer, *(arguments for *_, arguments in entry.invoked)):
                canonical(text)
            well_formed = canonical(entry.arguments) == bytes(entry.arguments)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueCrossingError) as error:
            raise LoadError(f"is no recorded call: {error}", file=name, line=number) from None
        if not well_formed:
            raise LoadError("is no recorded call: it is not in the form that they are written in", file=name, line=number)
        entries.append(entry)
    return entries


def _line(text: bytes) -> bytes:
    return text[:-1] + _SUM + _sum(text) + b'"}\n'


def _sum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:SUM_CHARS].encode()


def _checked(line: bytes, number: int, name: str) -> bytes:
    """The line without its checksum, which must be right."""
    text = line[:-_SUM_BYTES] + b"}"
    if line[-_SUM_BYTES:] != _SUM + _sum(text) + b'"}':
        raise LoadError("does not have the checksum it was written with: it was edited or damaged; record it again", file=name, line=number)
    return text
