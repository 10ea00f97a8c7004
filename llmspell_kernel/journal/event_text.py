"""The written form of events: one JSON object a line, the version first.  Pure.

An older version's lines are read by this one (the fields it lacks have defaults); a line that a newer version wrote, that was damaged, or whose
numbers no session writes is counted and left out, since a trace with a gap is better than none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from ..errors import LoadError, ValueCrossingError
from ..values import dumps, loads
from .events import FORMAT, AnyEvent, CallDenied, CallFinished, CallStarted, Logged
from .plausible import is_plausible
from .writable import writable

MAX_FILE_BYTES = 256 * 1024 * 1024
_VALUES: dict[type, str] = {CallStarted: "arguments", CallDenied: "arguments", CallFinished: "value", Logged: "fields"}
"""The field of an event that holds values of scripts; they are in the written form of values."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AnyEvent).decode


class _Header(msgspec.Struct, frozen=True):
    llmspell_journal: int
    version: str = ""
    started: float = 0.0


class _Unwritten(msgspec.Struct, frozen=True):
    """The written form of an Opaque."""

    tagged: list[str] = msgspec.field(name="$")


class ReadEvents(NamedTuple):
    """`unreadable` counts lines that were left out; `started` is when the session began, in Unix seconds."""

    events: list[AnyEvent]
    unreadable: int
    started: float


def header(version: str, started: float) -> bytes:
    return _encode(_Header(FORMAT, version, started)) + b"\n"


def line_of(event: AnyEvent) -> bytes:
    name = _VALUES.get(type(event))
    if name is not None:
        event = msgspec.structs.replace(event, **{name: _written(getattr(event, name))})
    try:
        return _encode(event) + b"\n"
    except UnicodeEncodeError:
        return _encode(writable(event)) + b"\n"


def read(data: bytes, name: str) -> ReadEvents:
    """Up to the last whole line.  Raises LoadError for what is no journal."""
    lines = data.split(b"\n")[:-1]
    try:
        first = msgspec.json.decode(lines[0], type=_Header)
    except (IndexError, msgspec.MsgspecError, UnicodeError):
        raise LoadError("is not a journal: its first line does not say so", file=name, line=1) from None
    if first.llmspell_journal > FORMAT:
        raise LoadError(f"has format {first.llmspell_journal}, and this version reads up to {FORMAT}; update llmspell", file=name, line=1)
    events, unreadable = [], 0
    for line in lines[1:]:
        try:
            event = _event(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueCrossingError):
            unreadable += 1
            continue
        if is_plausible(event):
            events.append(event)
        else:
            unreadable += 1
    return ReadEvents(events, unreadable, first.started)


def _event(line: bytes) -> AnyEvent:
    event: Any = _decode(line)
    name = _VALUES.get(type(event))
    if name is None:
        return event  # type: ignore[no-any-return]
    return msgspec.structs.replace(event, **{name: loads(_encode(getattr(event, name)), empty_as_object=False)})  # type: ignore[no-any-return]


def _written(value: Any) -> msgspec.Raw:
    try:
        return msgspec.Raw(dumps(value))
    except ValueCrossingError as error:  # a bridge's own fault; the event is worth more than the value
        return msgspec.Raw(_encode(writable(_Unwritten(["x", f"[a value that cannot be written: {error.message}]"]))))
