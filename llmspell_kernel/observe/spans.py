"""Events as OpenTelemetry spans: one tree a cell, named by the GenAI semantic conventions, with the events' own times.

    lua cell                     llmspell.engine, .state, .chunk, .status ...; an event for each denial, loss and restoration
      chat gpt-4o-mini           gen_ai.*, error.type; an event for each further attempt
      hash.sha256                any other call
        hash.md5                 what a script function asked within a call is below that call

A call that gives a stream ends with its stream.  The steps of a loop over one (`next`) have no spans of their own: there may be thousands,
and they say nothing that the stream's span does not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from ..journal.events import (
    INCOMPLETE,
    AnyEvent,
    BudgetRefused,
    BudgetWarned,
    CallAsked,
    CallChunk,
    CallDenied,
    CallFailed,
    CallFinished,
    CallStarted,
    CallUsage,
    CellFinished,
    CellStarted,
    Logged,
    ResourceClosed,
    Retried,
    StateRestored,
    WorkerWasLost,
)
from ..values import ResourceRef
from .content import CONTENT_CHARS, cut, input_messages, output_messages
from .model_names import provider_and_model
from .tracing import Tracing

MOST_CELLS = 1_000
"""What a cell left in the background may still call: so many cells are remembered."""
MOST_OPEN = 10_000
"""Calls and streams at once; the oldest then end as they are."""
CHAT = "chat"
ASKING = frozenset({"chat", "complete", "generate", "stream", "stream_chat"})
"""Methods of the bridge `llm` that ask a model.  The kind of a span cannot be changed later; all else is known once the usage is told."""
STEP = "next"
NO_STATE = ("", "")
"""Of a cell that is not remembered."""


def nanoseconds(time_s: float) -> int:
    return int(time_s * 1_000_000_000)


class _Cell(NamedTuple):
    span: Span
    context: Context
    state: tuple[str, str]
    """Engine and name."""


@dataclass(slots=True)
class _Call:
    """A call whose span is open."""

    span: Span
    started_s: float
    input: list[Any] = field(default_factory=list)
    """What it asked, where that is told."""
    output: list[str] = field(default_factory=list)
    chars: int = 0
    context: Context | None = None
    """Made when something is below it."""
    ended_s: float | None = None
    """Known, while the stream that it gave goes on."""
    used: list[CallUsage] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    replayed: bool = False


class CellSpans:
    """A listener.  `capture`: do prompts and answers go into the spans?"""

    name = "observe.traces"

    def __init__(self, tracing: Tracing, capture: bool) -> None:
        self._tracing = tracing
        self._tracer = tracing.tracer
        self._capture = capture
        self._cells: OrderedDict[int, _Cell] = OrderedDict()
        self._calls: OrderedDict[int, _Call] = OrderedDict()
        self._streams: dict[tuple[tuple[str, str], int], int] = {}
        """By state and number of a resource, which counts by state: the call that gave it, as long as its span is open."""
        self._steps: dict[int, int] = {}
        """Steps of a loop that go on: the call that gave the stream."""
        self._silent: dict[int, float] = {}
        """Calls whose resource is closed, and which have not told what they used; if they never do, they end with the cell that runs."""
        self._last_s = 0.0
        self._take: dict[type, Callable[[Any], None]] = {
            CellStarted: self._cell_started,
            CellFinished: self._cell_finished,
            CallStarted: self._call_started,
            CallChunk: self._chunk,
            CallUsage: self._usage,
            Retried: self._retried,
            BudgetWarned: self._budget_warned,
            BudgetRefused: self._budget_refused,
            CallFinished: self._call_finished,
            CallFailed: self._call_failed,
            CallDenied: self._denied,
            CallAsked: self._asked,
            Logged: self._logged,
            ResourceClosed: self._closed,
            WorkerWasLost: self._lost,
            StateRestored: self._restored,
        }

    def start(self) -> None:
        self._tracing.start()

    def __call__(self, event: AnyEvent) -> None:
        take = self._take.get(type(event))
        if take is not None:
            self._last_s = event.time
            take(event)

    def close(self) -> None:
        """What is still open ends with the last event there was."""
        while self._calls:
            self._end(next(iter(self._calls)), self._last_s)
        for cell in self._cells.values():
            if cell.span.is_recording():
                cell.span.end(nanoseconds(self._last_s))
        self._cells.clear()
        self._tracing.close()

    def _cell_started(self, event: CellStarted) -> None:
        attributes: dict[str, str | int] = {
            "llmspell.cell": event.cell,
            "llmspell.engine": event.engine,
            "llmspell.state": cut(event.state),
            "llmspell.chunk": cut(event.chunk),
        }
        if event.function:
            attributes["llmspell.function"] = cut(event.function)
        # the context of whoever runs the cell: where the user's own program has a span open, the cell is below it
        span = self._tracer.start_span(f"{event.engine} cell", attributes=attributes, start_time=nanoseconds(event.time))
        self._cells[event.cell] = _Cell(span, set_span_in_context(span, Context()), (event.engine, event.state))
        if len(self._cells) > MOST_CELLS:
            self._cells.popitem(last=False)

    def _cell_finished(self, event: CellFinished) -> None:
        while self._silent:
            number, ended_s = self._silent.popitem()
            if number in self._calls:
                self._end(number, ended_s)
        cell = self._cells.get(event.cell)
        if cell is None:
            return
        facts = {"status": event.status, "script_time_s": event.script_time_s, "output_bytes": event.output_bytes}
        cell.span.set_attributes({f"llmspell.{name}": value for name, value in facts.items()})
        if event.status in ("error", "lost"):
            self._fail(cell.span, event.status, event.error)
        cell.span.end(nanoseconds(event.time))

    def _call_started(self, event: CallStarted) -> None:
        opener = None if event.target is None else self._streams.get(self._resource(event.cell, event.target))
        if event.target is not None and event.method == STEP:
            if opener is not None:
                self._steps[event.call] = opener
            return
        name = cut(f"{event.bridge}.{event.method}")
        asks = event.bridge == "llm" and event.method in ASKING
        attributes: dict[str, Any] = {"llmspell.call": name}
        if asks:
            attributes["gen_ai.operation.name"] = CHAT
            attributes |= _named_model(event.arguments)
        span = self._tracer.start_span(
            name,
            context=self._above(event, opener),
            kind=SpanKind.CLIENT if asks else SpanKind.INTERNAL,
            attributes=attributes,
            start_time=nanoseconds(event.time),
        )
        call = self._calls[event.call] = _Call(span, event.time)
        if self._capture and asks:
            call.input = event.arguments
        if len(self._calls) > MOST_OPEN:
            self._end(next(iter(self._calls)), event.time)

    def _above(self, event: CallStarted, opener: int | None) -> Context:
        parent = event.parent if event.parent is not None else opener
        call = self._calls.get(parent) if parent is not None else None
        if call is not None:
            if call.context is None:
                call.context = set_span_in_context(call.span, Context())
            return call.context
        cell = self._cells.get(event.cell)
        return cell.context if cell is not None else Context()

    def _resource(self, cell: int, number: int) -> tuple[tuple[str, str], int]:
        return (self._cells[cell].state if cell in self._cells else NO_STATE), number

    def _chunk(self, event: CallChunk) -> None:
        call = self._calls.get(event.call)
        if call is None:
            return
        if "gen_ai.response.time_to_first_chunk" not in call.facts:
            call.facts["gen_ai.response.time_to_first_chunk"] = event.time - call.started_s
        if self._capture and call.chars < CONTENT_CHARS:
            call.output.append(event.text)
            call.chars += len(event.text)

    def _usage(self, event: CallUsage) -> None:
        call = self._calls.get(event.call)
        if call is None:
            return
        call.used.append(event)
        if call.ended_s is not None:  # the end of a stream
            call.ended_s = event.time
            if event.finish_reason != INCOMPLETE:
                self._end(event.call, event.time)

    def _retried(self, event: Retried) -> None:
        call = self._calls.get(event.call)
        if call is not None:
            facts = {"llmspell.attempt": event.attempt, "llmspell.attempts": event.attempts, "llmspell.wait_s": event.wait_s}
            call.span.add_event("llmspell.retried", {**facts, "error.type": cut(event.code)}, nanoseconds(event.time))

    def _call_finished(self, event: CallFinished) -> None:
        self._steps.pop(event.call, None)
        call = self._calls.get(event.call)
        if call is None:
            return
        call.replayed = event.replayed
        if isinstance(event.value, ResourceRef):
            call.ended_s = event.time
            self._streams[self._resource(event.cell, event.value.id)] = event.call
            if any(used.finish_reason != INCOMPLETE for used in call.used):  # it was faster than its opening
                self._end(event.call, event.time)
            return
        if self._capture and not call.output and isinstance(event.value, str):
            call.output.append(event.value)
        self._end(event.call, event.time)

    def _call_failed(self, event: CallFailed) -> None:
        opener = self._steps.pop(event.call, None)
        number = event.call if opener is None else opener
        call = self._calls.get(number)
        if call is None:
            return
        if event.cancelled:
            call.facts["llmspell.cancelled"] = True
        else:
            self._fail(call.span, event.code, event.message)
            call.facts["llmspell.retryable"] = event.retryable
        if opener is None:
            self._end(number, event.time)

    def _denied(self, event: CallDenied) -> None:
        facts = {"llmspell.call": cut(f"{event.bridge}.{event.method}"), "error.type": cut(event.code)}
        if self._capture:
            facts["llmspell.message"] = cut(event.message, CONTENT_CHARS)
        self._note(event, "llmspell.denied", facts)

    def _asked(self, event: CallAsked) -> None:
        facts = {"llmspell.call": cut(event.capability), "llmspell.allowed": event.allowed, "llmspell.waited_s": event.waited_s}
        self._note(event, "llmspell.asked", facts)

    def _logged(self, event: Logged) -> None:
        facts = {"llmspell.level": cut(event.level)}
        if self._capture:
            facts["llmspell.message"] = cut(event.message, CONTENT_CHARS)
        self._note(event, "llmspell.logged", facts)

    def _closed(self, event: ResourceClosed) -> None:
        number = self._streams.pop(self._resource(event.cell, event.resource), None)
        call = self._calls.get(number) if number is not None else None
        if number is None or call is None:
            return
        call.facts["llmspell.closed"] = event.why
        if call.used:
            self._end(number, call.ended_s or event.time)
        else:
            self._silent[number] = event.time

    def _budget_warned(self, event: BudgetWarned) -> None:
        self._note(event, "llmspell.budget_warned", _budget_facts(event))

    def _budget_refused(self, event: BudgetRefused) -> None:
        self._note(event, "llmspell.budget_refused", _budget_facts(event))

    def _lost(self, event: WorkerWasLost) -> None:
        self._note(event, "llmspell.worker_lost", {"llmspell.reason": cut(event.reason)})

    def _restored(self, event: StateRestored) -> None:
        self._note(event, "llmspell.state_restored", {"llmspell.cells": event.cells, "llmspell.duration_s": event.duration_s})

    def _note(self, event: AnyEvent, name: str, facts: dict[str, Any]) -> None:
        cell = self._cells.get(event.cell)
        if cell is not None and cell.span.is_recording():
            cell.span.add_event(name, facts, nanoseconds(event.time))

    def _fail(self, span: Span, code: str, message: str) -> None:
        """The message may quote a prompt or an answer; the code does not."""
        span.set_attribute("error.type", cut(code))
        span.set_status(Status(StatusCode.ERROR, cut(message, CONTENT_CHARS) if self._capture else None))

    def _end(self, number: int, time_s: float) -> None:
        call = self._calls.pop(number)
        for key in [key for key, opened in self._streams.items() if opened == number]:
            del self._streams[key]
        if call.span.is_recording():
            attributes = {**call.facts, **_usage_facts(call)}
            if call.replayed:
                attributes["llmspell.replayed"] = True
            if self._capture:
                attributes |= self._content(call)
            call.span.set_attributes(attributes)
            if "gen_ai.request.model" in attributes:
                call.span.update_name(f"{CHAT} {attributes['gen_ai.request.model']}")
        call.span.end(nanoseconds(time_s))

    @staticmethod
    def _content(call: _Call) -> dict[str, str]:
        reason = next((used.finish_reason for used in reversed(call.used)), "")
        found = {"gen_ai.input.messages": input_messages(call.input)} if call.input else {}
        if call.output and call.used:
            found["gen_ai.output.messages"] = output_messages("".join(call.output), reason)
        return found


def _budget_facts(event: BudgetWarned | BudgetRefused) -> dict[str, str | float]:
    return {"llmspell.budget": cut(event.budget), "llmspell.used": event.used, "llmspell.limit": event.limit}


def _named_model(arguments: list[Any]) -> dict[str, str]:
    """What a sampler may want to know: the model, where the call itself names one."""
    options = arguments[-1] if len(arguments) > 1 else None
    name = options.get("model") if isinstance(options, dict) else None
    return _model_facts(name) if isinstance(name, str) and name else {}


def _model_facts(name: str) -> dict[str, str]:
    provider, model = provider_and_model(name)
    return {"gen_ai.provider.name": cut(provider), "gen_ai.request.model": cut(model)}


def _usage_facts(call: _Call) -> dict[str, Any]:
    """Sums, as a call may ask several times; the cost is left out as soon as one price is not known, and of what cost nothing now."""
    used = call.used
    if not used:
        return {}
    facts: dict[str, Any] = {"gen_ai.operation.name": CHAT} if used[-1].model else {}
    if used[-1].model:
        facts |= _model_facts(used[-1].model)
    facts["gen_ai.usage.input_tokens"] = sum(one.input_tokens for one in used)
    facts["gen_ai.usage.output_tokens"] = sum(one.output_tokens for one in used)
    if cached := sum(one.cached_tokens for one in used):
        facts["gen_ai.usage.cache_read.input_tokens"] = cached
    if reasons := [cut(one.finish_reason) for one in used if one.finish_reason]:
        facts["gen_ai.response.finish_reasons"] = reasons
    costs = [one.cost_usd for one in used]
    if not call.replayed and all(cost is not None for cost in costs):
        facts["llmspell.usage.cost_usd"] = sum(cost for cost in costs if cost is not None)
    return facts
