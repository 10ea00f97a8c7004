"""The calls of one cell, gathered from its events; the live view and the final trace read the same form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from ..journal.events import (
    AnyEvent,
    CallChunk,
    CallDenied,
    CallFailed,
    CallFinished,
    CallStarted,
    CallUsage,
    CellFinished,
)
from ..values import ResourceRef

Status = Literal["running", "done", "stopped", "failed", "denied", "interrupted", "incomplete"]
"""`stopped`: the script left a stream before its end.  `incomplete`: text came, and then a failure."""
ICONS: dict[Status, str] = {
    "running": "◌",
    "done": "✓",
    "stopped": "⊘",
    "failed": "✗",
    "denied": "⊘",
    "interrupted": "⊘",
    "incomplete": "✗",
}

MAX_DEPTH = 30
"""Of calls within calls; deeper ones are shown beside each other, so that no chain of calls can exhaust the stack of who walks it."""


class Call:
    """One call: what was asked, what came, how it ended."""

    def __init__(self, call: int, bridge: str, method: str, arguments: list[Any], above: Call | None) -> None:
        self.call = call
        self.name = f"{bridge}.{method}"
        self.stream: Call | None = None
        """For a method of a stream (`llm.stream.next`): the call that opened it, to which its text and its end belong."""
        self.arguments = arguments
        self.above = above
        """The call within which a script function asked this one."""
        self.depth: int = above.depth + 1 if above else 0
        self.children: list[Call] = []
        self.chunks: list[str] = []
        self.usage: list[CallUsage] = []
        self.value: Any = None
        self.status: Status = "running"
        self.code = ""
        self.message = ""
        self.duration_s: float | None = None

    @property
    def is_answer(self) -> bool:
        """It streamed text or used a model: worth a box."""
        return bool(self.chunks or self.usage)

    @property
    def has_problem(self) -> bool:
        return self.status in ("failed", "denied", "interrupted", "incomplete")

    @property
    def is_stream(self) -> bool:
        return isinstance(self.value, ResourceRef) and self.value.type == self.name

    @property
    def model(self) -> str:
        return next((usage.model for usage in reversed(self.usage) if usage.model), "")

    @property
    def answer(self) -> str:
        """The text that streamed, or that came whole."""
        if self.chunks:
            return "".join(self.chunks)
        match self.value:
            case str(text) | {"text": str(text)}:
                return text
        return ""

    def family(self) -> Iterator[Call]:
        yield self
        for child in self.children:
            yield from child.family()


class Gathered:
    """All calls in the order they were asked, and how the cell ended ("" while it runs)."""

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}
        self._openers: dict[str, Call] = {}
        self.cell_status = ""
        self.cell_duration_s: float | None = None

    @property
    def roots(self) -> list[Call]:
        return [call for call in self.calls.values() if call.above is None]

    def add(self, event: AnyEvent) -> Call | None:
        """Takes in one event; the call it concerns, if any."""
        match event:
            case CallStarted():
                return self._open(event.call, event.bridge, event.method, event.arguments, event.parent)
            case CallDenied():
                call = self.calls.get(event.call) or self._open(event.call, event.bridge, event.method, event.arguments, None)
                call.status, call.code, call.message = "denied", event.code, event.message
                return call
            case CallChunk() | CallUsage() | CallFinished() | CallFailed() if event.call in self.calls:
                return _advance(self.calls[event.call], event)
            case CellFinished():
                self.cell_status, self.cell_duration_s = event.status, event.duration_s
                self._settle()
        return None

    def _open(self, number: int, bridge: str, method: str, arguments: list[Any], parent: int | None) -> Call:
        above = self.calls.get(parent) if parent is not None else None
        if above is not None and above.depth >= MAX_DEPTH:
            above = above.above
        call = self.calls[number] = Call(number, bridge, method, arguments, above)
        # events do not say which stream a method belongs to, so it is taken to be the last one opened of that type
        call.stream = self._openers.get(bridge)
        self._openers[call.name] = call
        if above is not None:
            above.children.append(call)
        return call

    def _settle(self) -> None:
        """What still ran when the cell ended did not end by itself."""
        for call in self.calls.values():
            if call.status in ("running", "stopped") and self.cell_status == "interrupted":
                _end_badly(call, "interrupted")
            elif call.status == "running":
                _end_badly(call, "stopped" if call.is_stream else "incomplete")


def gather(events: Iterable[AnyEvent]) -> Gathered:
    gathered = Gathered()
    for event in events:
        gathered.add(event)
    return gathered


def _advance(call: Call, event: CallChunk | CallUsage | CallFinished | CallFailed) -> Call:
    """The call that the event is shown with."""
    shown = call.stream or call
    match event:
        case CallChunk():
            shown.chunks.append(event.text)
        case CallUsage():
            shown.usage.append(event)
            if shown.is_stream and shown.status == "running":
                shown.status = "stopped" if event.finish_reason == "incomplete" else "done"
        case CallFinished():
            call.value, call.duration_s = event.value, event.duration_s
            # the call that opens a stream returns at once; the stream itself goes on until its usage is known
            call.status = "running" if call.is_stream and not call.usage else "done"
        case CallFailed():
            call.code, call.message, call.duration_s = event.code, event.message, event.duration_s
            interrupted = event.cancelled or event.code == "interrupted"
            _end_badly(call, "interrupted" if interrupted else "incomplete" if call.chunks else "failed")
    return shown


def _end_badly(call: Call, status: Status) -> None:
    call.status = status
    if call.stream is not None:
        opener = call.stream
        opener.status = "incomplete" if status == "failed" and opener.chunks else status
        opener.code, opener.message = call.code, call.message
