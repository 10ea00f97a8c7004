"""Errors and faults: the same thing on the two sides of the border."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Iterable
from typing import TypeVar

import msgspec

from ..errors import (
    ArgumentError,
    BridgeError,
    DeniedError,
    Frame,
    InternalError,
    Interrupted,
    LimitError,
    RefusedError,
    ReplayError,
    ScriptError,
    SpellError,
)
from ..protocol.messages import clip_fault
from ..protocol.steps import Fault, Place
from .met_limits import met

T = TypeVar("T")
PASSING = (TimeoutError, ConnectionError)
"""Errors nobody foresaw that the same call may not meet later."""
_PATH = re.compile(r"(?<![\w:/.])(?:/(?:[^\s/'\"<>:]+/)+|[A-Za-z]:\\)[^\s'\"<>:,;)]*")
_FRAMES = re.compile(r"\s*Traceback \(most recent call last\):.*", re.DOTALL)
MAX_SEARCHED = 10_000
"""Characters of an error's text that are looked through; the rest is left out."""
MAX_NOTES = 3
"""Of one error."""
NAMES = {ArgumentError: "ArgumentError", BridgeError: "BridgeError", DeniedError: "DeniedError", LimitError: "LimitError"}


def fault_of(error: BaseException, what: str) -> Fault:
    """What a script may catch.  An error nobody foresaw tells its type and text, never a path or a frame of ours."""
    if isinstance(error, SpellError):
        # a function of the script that failed when the host called it: its own name and places go on with the error
        name = error.name if isinstance(error, ScriptError) and error.name else type(error).__name__
        frames = [Place(frame.chunk, frame.line, frame.column, frame.function) for frame in error.frames]
        fault = Fault(error.code, _written(error.message), name, frames, error.retryable)
        match error:
            case DeniedError():
                fault = msgspec.structs.replace(fault, capability=_written(error.capability))
            case LimitError():
                fault = msgspec.structs.replace(fault, limit=_written(error.limit), value=error.value, used=error.used)
        return clip_fault(fault)
    message = f"{what} failed: {type(error).__name__}: {_text(error)}".removesuffix(": ") + _notes(error)
    return clip_fault(Fault("bridge", message, "BridgeError", retryable=isinstance(error, PASSING)))


def _text(error: BaseException) -> str:
    """What it says, without the host's own: no path of a file, no frames of Python."""
    if isinstance(error, OSError) and error.strerror:
        return _written(str(error.strerror))
    try:
        return _without_places(str(error))
    except Exception:  # a stranger's __str__
        return "(its text cannot be read)"


def _notes(error: BaseException) -> str:
    """What was added on its way (`add_note`), such as the tool it came from."""
    notes = getattr(error, "__notes__", None)
    told = [_without_places(note) for note in notes[:MAX_NOTES] if isinstance(note, str)] if isinstance(notes, list) else []
    return f" ({'; '.join(told)})" if told else ""


def _without_places(text: str) -> str:
    return _written(_PATH.sub("...", _FRAMES.sub("", text[:MAX_SEARCHED])))


async def contained(work: Awaitable[T], what: str) -> T:
    """What a stranger's code raises is an Exception: a SystemExit or KeyboardInterrupt out of a task would end the kernel's event loop."""
    try:
        return await work
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:
        raise BridgeError(fault_of(error, what).message) from error


def _written(text: str) -> str:
    """The text as it can be sent: names of files may hold lone surrogates, which are not valid Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()


def error_of(fault: Fault, engine: str) -> SpellError:
    """The error that a script's fault is for the host: what was an effect's fault keeps its kind."""
    frames = tuple(Frame(place.chunk, place.line, place.column, place.function) for place in fault.frames)
    match fault.code:
        case "denied":
            denied = RefusedError if fault.name == RefusedError.__name__ else DeniedError  # a replay asks nobody, and tells them apart
            return denied(fault.message, capability=fault.capability, frames=frames, engine=engine)
        case "limit":
            return met(fault.limit, fault.value, fault.used, message=fault.message, frames=frames, engine=engine)
        case "interrupted":
            return Interrupted(fault.message, frames=frames, engine=engine)
        case "internal":
            return InternalError(f"{fault.message}; this is a fault of llmspell, please report it", frames=frames, engine=engine)
        case "argument":
            return ArgumentError(fault.message, name=fault.name, frames=frames, engine=engine)
        case "replay":
            return ReplayError(fault.message, frames=frames, engine=engine)
        case _ if fault.name == "BridgeError" or fault.code == "bridge":
            return BridgeError(fault.message, retryable=fault.retryable, code=fault.code, frames=frames, engine=engine)
        case _:
            return ScriptError(fault.message, name=fault.name, frames=frames, engine=engine, code=fault.code)


def told(faults: Iterable[Fault]) -> list[str]:
    """One line for each error of background work that nobody caught."""
    return [f"background work failed: {fault.name + ': ' if fault.name else ''}{fault.message}{_place(fault)}" for fault in faults]


def _place(fault: Fault) -> str:
    return f" ({fault.frames[0].chunk}, line {fault.frames[0].line})" if fault.frames else ""


def report(what: str, error: BaseException) -> None:
    """An error that no script waits for: told to the event loop's handler, so that one failed end does not keep the others from ending."""
    asyncio.get_running_loop().call_exception_handler({"message": f"{what}: {type(error).__name__}: {error}", "exception": error})
