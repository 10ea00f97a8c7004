"""The messages of one conversation between host and worker, schema-checked while they are parsed.

A worker is treated as hostile: whatever bytes come, `decode` gives a message or raises RemoteProtocolError.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from ..errors import RemoteProtocolError
from .steps import (
    EMPTY_LIST,
    NULL,
    UNLIMITED,
    Allowance,
    Answer,
    Background,
    Failed,
    Fault,
    Finished,
    Invocation,
    QueryKind,
    Returned,
    Step,
    Suspended,
)

MAX_FAULT_TEXT = 64 * 1024
MAX_FAULT_NAME = 256
MAX_FAULT_FRAMES = 200
MAX_FAILED = 1_000
"""Errors of background work in one step; nobody reads more."""
MAX_TASKS = 10_000
"""Names of background tasks in one step."""
MAX_RETURNED = 100_000
"""Calls of a script's functions that return in one step."""


class OpenState(msgspec.Struct, frozen=True, gc=False, tag="open"):
    """Host: make a script state.  `catalogue` and `options` are JSON objects (see bridges._catalogue.worker_catalogue and engines.Options)."""

    state: int
    engine: str
    catalogue: msgspec.Raw
    options: msgspec.Raw


class Begin(msgspec.Struct, frozen=True, gc=False, tag="begin"):
    """Host: run code.  `chunk` names it in errors (`cell[3]`); `time_s` is the time that the script sees, as in Resume.

    With a `function` nothing is compiled: the cell is a call of that global function of the script (`words.count`) with the values of `args`;
    with a `callback`, of the function that has that number.
    """

    state: int
    code: str
    chunk: str
    function: str = ""
    args: msgspec.Raw = EMPTY_LIST
    time_s: float = 0.0
    allowance: Allowance = UNLIMITED
    callback: int = 0


class Resume(msgspec.Struct, frozen=True, gc=False, tag="resume"):
    """Host: answers to effects, and calls of script functions."""

    state: int
    answers: list[Answer] = []
    invocations: list[Invocation] = []
    time_s: float = 0.0


class Query(msgspec.Struct, frozen=True, gc=False, tag="query"):
    """Host: a question about a state that runs nothing of the script; engines._engine.State.query says what each kind asks."""

    state: int
    kind: QueryKind
    text: str
    value: msgspec.Raw = NULL


class CloseState(msgspec.Struct, frozen=True, gc=False, tag="close"):
    """Host: forget a state.  Has no answer."""

    state: int


class Ready(msgspec.Struct, frozen=True, gc=False, tag="ready"):
    """Worker: started.  `engines` maps an engine's name to its facts (language version, features that passed their self-test).

    `failed` says of each engine that could not be loaded why; `layers` of each layer of confinement that was asked for why it is missing, ""
    for one that holds.
    """

    pid: int
    engines: dict[str, dict[str, str | bool]] = {}
    failed: dict[str, str] = {}
    layers: dict[str, str] = {}


class Opened(msgspec.Struct, frozen=True, gc=False, tag="opened"):
    """Worker: the state exists, or why it cannot."""

    state: int
    fault: Fault | None = None


class Stepped(msgspec.Struct, frozen=True, gc=False, tag="stepped"):
    """Worker: the running script suspended, finished or failed."""

    state: int
    step: Step


class Reply(msgspec.Struct, frozen=True, gc=False, tag="reply"):
    """Worker: the answer to a query."""

    state: int
    value: msgspec.Raw = NULL
    fault: Fault | None = None


HostMessage = OpenState | Begin | Resume | Query | CloseState
WorkerMessage = Ready | Opened | Stepped | Reply
Message = HostMessage | WorkerMessage
M = TypeVar("M")

_encoder = msgspec.json.Encoder()
_from_host: msgspec.json.Decoder[HostMessage] = msgspec.json.Decoder(HostMessage)
_from_worker: msgspec.json.Decoder[WorkerMessage] = msgspec.json.Decoder(WorkerMessage)


def clipped(message: WorkerMessage) -> WorkerMessage:
    """The message with every fault at a length that can be shown and kept.

    Clipped, not refused: a script of an honest worker may raise an error with a text of any length.  Of lists, only as much is looked at as an
    honest worker may have sent: a message of 64 MB holds millions of faults, each of which takes microseconds.
    """
    match message:
        case Stepped(step=Failed(fault=fault, background=background) as step):
            short, kept = clip_fault(fault), _clipped_background(background)
            return (
                message
                if short is fault and kept is background
                else Stepped(message.state, msgspec.structs.replace(step, fault=short, background=kept))
            )
        case Stepped(step=Finished(background=Background() as background) as step):
            return Stepped(message.state, msgspec.structs.replace(step, background=_clipped_background(background)))
        case Stepped(step=Suspended() as step) if step.returned:
            return Stepped(message.state, msgspec.structs.replace(step, returned=_clipped_returns(step.returned)))
        case Opened(fault=Fault() as fault) | Reply(fault=Fault() as fault):
            return msgspec.structs.replace(message, fault=clip_fault(fault))
    return message


def clip_fault(fault: Fault) -> Fault:
    names = (fault.code, fault.name, fault.capability, fault.limit)
    places = [text for place in fault.frames[:MAX_FAULT_FRAMES] for text in (place.chunk, place.function)]
    if len(fault.message) <= MAX_FAULT_TEXT and len(fault.frames) <= MAX_FAULT_FRAMES and _short(names) and _short(places):
        return fault
    message = fault.message
    if len(message) > MAX_FAULT_TEXT:
        message = f"{message[:MAX_FAULT_TEXT]}... ({len(message)} characters in all)"
    frames = [
        msgspec.structs.replace(place, chunk=place.chunk[:MAX_FAULT_NAME], function=place.function[:MAX_FAULT_NAME])
        for place in fault.frames[:MAX_FAULT_FRAMES]
    ]
    code, name, capability, limit = (text[:MAX_FAULT_NAME] for text in names)
    return msgspec.structs.replace(fault, message=message, code=code, name=name, capability=capability, limit=limit, frames=frames)


def _short(texts: Iterable[str]) -> bool:
    return all(len(text) <= MAX_FAULT_NAME for text in texts)


def _clipped_background(background: Background | None) -> Background | None:
    if background is None or not (background.returned or background.failed or background.tasks):
        return background
    return msgspec.structs.replace(
        background,
        returned=_clipped_returns(background.returned),
        failed=[clip_fault(fault) for fault in background.failed[:MAX_FAILED]],
        tasks=[label[:MAX_FAULT_NAME] for label in background.tasks[:MAX_TASKS]],
    )


def _clipped_returns(returned: Sequence[Returned]) -> list[Returned]:
    if len(returned) > MAX_RETURNED:
        raise RemoteProtocolError(f"more than {MAX_RETURNED} calls return in one step")
    return [_clipped_return(item) for item in returned]


def _clipped_return(returned: Returned) -> Returned:
    return returned if returned.fault is None else msgspec.structs.replace(returned, fault=clip_fault(returned.fault))


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def decode_from_host(data: bytes) -> HostMessage:
    return _decode(_from_host, data)


def decode_from_worker(data: bytes) -> WorkerMessage:
    return _decode(_from_worker, data)


def _decode(decoder: msgspec.json.Decoder[M], data: bytes) -> M:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise RemoteProtocolError(f"not a message of the protocol: {error}") from None
