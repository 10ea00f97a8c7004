"""The calls of one cell, gathered from its events; the live view and the final trace read the same form.

However many calls a cell makes and however large they are, a bounded part of them is kept: arguments and texts as far as they could be
shown; and once there are `MAX_CALLS`, calls that ended and have nothing to show make room for new ones and are only counted.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from ..errors import DeniedError, Interrupted
from ..journal.events import (
    INCOMPLETE,
    AnyEvent,
    BudgetRefused,
    CallAsked,
    CallChunk,
    CallDenied,
    CallFailed,
    CallFinished,
    CallStarted,
    CallUsage,
    CellFinished,
    Retried,
)
from ..values import ResourceRef
from .budget import MAX_PLAIN_CHARS
from .kept import Room
from .text import clip

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

REFUSALS: dict[str, Status] = {DeniedError.code: "denied", Interrupted.code: "interrupted"}
"""How a call that did not begin is shown, by its error's code; any other failed: a closed stream was asked, an argument is wrong."""
MAX_DEPTH = 30
"""Of calls within calls; deeper ones are shown beside each other, so that no chain of calls can exhaust the stack of who walks it."""
MAX_CALLS = 8_000
MAX_PROBLEMS = 1_000
"""Of these, failed and denied calls that are kept when others need the room."""
MAX_RETRIES = 20
"""Lines about one call's attempts and budgets."""
MAX_COUNTED_NAMES = 200
"""Of calls that are only counted."""
NAME_CHARS = 200
ARGUMENT_CHARS = 4_000
MESSAGE_CHARS = 4_000
VALUE_CHARS = 20_000
"""Of what a call returned that used no model."""
ANSWER_CHARS = MAX_PLAIN_CHARS
"""Of one answer, as no more is ever shown."""
ALL_ANSWERS_CHARS = 8_000_000
ALL_OTHER_CHARS = 8_000_000
MAX_CHUNKS = 500
"""Pieces of text that are kept apart before they are joined: a piece costs 50 bytes however short it is."""


class Call:
    """One call: what was asked, what came, how it ended."""

    def __init__(self, call: int, bridge: str, method: str, arguments: list[Any], above: Call | None) -> None:
        self.call = call
        self.name = call_name(bridge, method)
        self.stream: Call | None = None
        """For a method of a stream (`llm.stream.next`): the call that opened it, to which its text and its end belong."""
        self.arguments = arguments
        self.above = above
        """The call within which a script function asked this one."""
        self.depth: int = above.depth + 1 if above else 0
        self.children: list[Call] = []
        self.chunks: list[str] = []
        self._kept_chars = 0
        self.usage: list[CallUsage] = []
        self.notes: list[str] = []
        """What hindered it on its way: attempts that failed, a budget."""
        self.value: ResourceRef | str | None = None
        """The text that came whole, or the stream that was opened; nothing else is shown."""
        self.cut_chars = 0
        """Of the answer, not kept."""
        self.taken_chars = 0
        """Of the room that all calls share for what is no answer."""
        self.status: Status = "running"
        self.code = ""
        self.message = ""
        self.duration_s: float | None = None
        self.replayed = False
        """Its answer came from a cassette."""
        self.approved = False
        """The user was asked about it, and allowed it."""
        self.met = False
        """A live view has, had or had no room for a pane of it."""

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
        return self.value if isinstance(self.value, str) else ""

    def add_text(self, text: str, room: Room) -> None:
        kept = room.take(text, ANSWER_CHARS - self._kept_chars)
        self._kept_chars += len(kept)
        self.cut_chars += len(text) - len(kept)
        if kept:
            self.chunks.append(kept)
        if len(self.chunks) > MAX_CHUNKS:
            self.chunks = ["".join(self.chunks)]

    def family(self) -> Iterator[Call]:
        yield self
        for child in self.children:
            yield from child.family()


class Gathered:
    """The calls in the order they were asked, and how the cell ended ("" while it runs)."""

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}
        self.counted: Counter[tuple[str, bool]] = Counter()
        """Quiet calls that are no longer kept, by name and whether they were methods of a stream."""
        self.left_out = 0
        """Other calls that are not kept: beyond the caps."""
        self.left_out_usage: list[CallUsage] = []
        """What they used, as one sum; empty when they used nothing."""
        self.left_out_users = 0
        self.cell_status = ""
        self.cell_duration_s: float | None = None
        self._approved: set[int] = set()
        """Calls that are allowed and have not started yet."""
        self._last_stream: dict[str, Call] = {}
        self._streams: dict[int, Call] = {}
        self._quiet: deque[Call] = deque()
        self._problems: deque[Call] = deque()
        self._answers_room = Room(ALL_ANSWERS_CHARS)
        self._room = Room(ALL_OTHER_CHARS)

    @property
    def roots(self) -> list[Call]:
        return [call for call in self.calls.values() if call.above is None]

    @property
    def count(self) -> int:
        """Of all calls but the methods of streams, how many of which there are depends on how a text was cut."""
        kept = sum(1 for call in self.calls.values() if call.stream is None)
        return kept + self.left_out + sum(count for (_, of_stream), count in self.counted.items() if not of_stream)

    def add(self, event: AnyEvent) -> Call | None:
        """Takes in one event; the call it concerns, if any is kept."""
        match event:
            case CallStarted():
                return self._open(event, event.parent)
            case CallDenied():
                call = self.calls.get(event.call) or self._open(event, event.parent)
                if call is not None:
                    self._fail(call, REFUSALS.get(event.code, "failed"), event.code, event.message)
                return call
            case CallChunk() | CallUsage() | CallFinished() | CallFailed() if event.call in self.calls:
                return self._advance(self.calls[event.call], event)
            case Retried() | BudgetRefused() if event.call in self.calls:
                return self._hinder(self.calls[event.call], event)
            case CallAsked(allowed=True):
                return self._approve(event.call)
            case CallUsage():
                self._add_left_out_usage(event)
            case CellFinished():
                self.cell_status, self.cell_duration_s = event.status, event.duration_s
                self._settle()
        return None

    def _open(self, event: CallStarted | CallDenied, parent: int | None) -> Call | None:
        if len(self.calls) >= MAX_CALLS and not self._make_room():
            self.left_out += 1
            return None
        above = self.calls.get(parent) if parent is not None else None
        if above is not None and above.depth >= MAX_DEPTH:
            above = above.above
        before = self._room.left
        arguments = self._room.keep(event.arguments, ARGUMENT_CHARS)
        call = self.calls[event.call] = Call(event.call, event.bridge, event.method, arguments, above)
        call.taken_chars = before - self._room.left
        call.approved = event.call in self._approved
        self._approved.discard(event.call)
        # an event without a target does not say which stream its method belongs to: then it is taken to be the last one opened of that type
        target = getattr(event, "target", None)
        call.stream = self._last_stream.get(clip(event.bridge, NAME_CHARS)) if target is None else self._streams.get(target)
        if above is not None:
            above.children.append(call)
        return call

    @staticmethod
    def _hinder(call: Call, event: Retried | BudgetRefused) -> Call:
        if len(call.notes) < MAX_RETRIES:
            match event:
                case Retried():
                    why = f"{clip(event.code, NAME_CHARS)}: {clip(event.message, MESSAGE_CHARS)}"
                    call.notes.append(f"attempt {event.attempt} of {event.attempts} after {event.wait_s:.1f} s: {why}")
                case BudgetRefused():
                    call.notes.append(f"{clip(event.budget, NAME_CHARS)} did not allow it: {event.used:,.6g} of {event.limit:,.6g} used")
        return call

    def _approve(self, number: int) -> Call | None:
        call = self.calls.get(number)
        if call is None:
            self._approved.add(number)
        else:
            call.approved = True
        return call

    def _advance(self, call: Call, event: CallChunk | CallUsage | CallFinished | CallFailed) -> Call:
        """The call that the event is shown with."""
        shown = call.stream or call
        match event:
            case CallChunk():
                shown.add_text(event.text, self._answers_room)
            case CallUsage():
                shown.usage.append(_short(event))
                if shown.is_stream and shown.status == "running":
                    shown.status = "stopped" if event.finish_reason == INCOMPLETE else "done"
            case CallFinished():
                self._finish(call, event)
            case CallFailed():
                call.duration_s = event.duration_s
                interrupted = event.cancelled or event.code == "interrupted"
                self._fail(call, "interrupted" if interrupted else "incomplete" if call.chunks else "failed", event.code, event.message)
        return shown

    def _finish(self, call: Call, event: CallFinished) -> None:
        call.duration_s, call.replayed = event.duration_s, event.replayed
        match event.value:
            case ResourceRef() as stream:
                call.value = ResourceRef(stream.id, clip(stream.type, NAME_CHARS))
                if call.is_stream:
                    self._last_stream[call.name] = self._streams[stream.id] = call
            case str(text) | {"text": str(text)} if not call.chunks:
                room, limit = (self._answers_room, ANSWER_CHARS) if call.usage else (self._room, VALUE_CHARS)
                call.value = room.take(text, limit)
                call.taken_chars += 0 if call.usage else len(call.value)
                call.cut_chars = len(text) - len(call.value)
        # the call that opens a stream returns at once; the stream itself goes on until its usage is known
        call.status = "running" if call.is_stream and not call.usage else "done"
        if call.status == "done" and not call.is_answer:
            self._quiet.append(call)

    def _fail(self, call: Call, status: Status, code: str, message: str) -> None:
        call.code, call.message = clip(code, NAME_CHARS), clip(self._room.take(message, MESSAGE_CHARS + 1), MESSAGE_CHARS)
        call.taken_chars += len(call.message)
        _end_badly(call, status)
        if not call.is_answer:
            self._problems.append(call)

    def _make_room(self) -> bool:
        """Gives up a call that ended: the oldest with nothing to show, else the newest of the many that failed."""
        while self._quiet:
            call = self._quiet.popleft()
            if self._can_go(call):
                self._drop(call)
                key = (call.name, call.stream is not None)
                self.counted[key if key in self.counted or len(self.counted) < MAX_COUNTED_NAMES else ("other calls", False)] += 1
                return True
        while len(self._problems) > MAX_PROBLEMS:
            call = self._problems.pop()
            if self._can_go(call):
                self._drop(call)
                self.left_out += 1
                return True
        return False

    def _can_go(self, call: Call) -> bool:
        return self.calls.get(call.call) is call and not call.children and not call.is_answer

    def _drop(self, call: Call) -> None:
        del self.calls[call.call]
        siblings = call.above.children if call.above is not None else [call]
        del siblings[-1 if siblings[-1] is call else siblings.index(call)]  # the newest of a flood goes first: no need to look for it
        self._room.left += call.taken_chars

    def _add_left_out_usage(self, event: CallUsage) -> None:
        self.left_out_users += 1
        if not self.left_out_usage:
            self.left_out_usage = [_short(event)]
            return
        so_far = self.left_out_usage[0]
        known = so_far.cost_usd is not None and event.cost_usd is not None
        self.left_out_usage[0] = msgspec.structs.replace(
            so_far,
            input_tokens=so_far.input_tokens + event.input_tokens,
            output_tokens=so_far.output_tokens + event.output_tokens,
            cost_usd=(so_far.cost_usd or 0) + (event.cost_usd or 0) if known else None,
        )

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


def call_name(bridge: str, method: str) -> str:
    return f"{clip(bridge, NAME_CHARS)}.{clip(method, NAME_CHARS)}"


def _short(event: CallUsage) -> CallUsage:
    return event if len(event.model) <= NAME_CHARS else msgspec.structs.replace(event, model=clip(event.model, NAME_CHARS))


def _end_badly(call: Call, status: Status) -> None:
    call.status = status
    if call.stream is not None:
        opener = call.stream
        opener.status = "incomplete" if status == "failed" and opener.chunks else status
        opener.code, opener.message = call.code, call.message
