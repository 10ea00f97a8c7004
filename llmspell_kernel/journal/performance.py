"""How models have done: calls, failures, times, tokens and money, by the events of sessions.  Pure.

Rules
- A call is one that told which model it asked.  What a cassette answered counts apart, and is in no other figure.
- A stream takes as long as its text came, which a script that reads slowly draws out; any other call as long as it took.
- Times and tokens per second are those of calls that came to their end; nothing is None rather than 0 where there was nothing to measure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..values import ResourceRef
from .events import INCOMPLETE, AnyEvent, CallChunk, CallFailed, CallFinished, CallStarted, CallUsage, CellStarted

CANCELLED = "cancelled"
"""The kind of a failure that was none of the model's: nobody waited for the rest."""
NO_STATE = ("", "")
"""Of a cell that is not known to have begun."""


class ModelCall(NamedTuple):
    """One call of a model.  `failure` is "" for one that came to its end; `first_s` is the time to its first text."""

    model: str
    time: float
    duration_s: float
    failure: str = ""
    first_s: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = None
    replayed: bool = False


class Figures(NamedTuple):
    """`calls` counts all but the replayed; `failures` are counted by code.  `cost_usd` is the sum of known prices, `unpriced` the calls without."""

    calls: int
    failures: Mapping[str, int]
    latency_p50_s: float | None
    latency_p95_s: float | None
    first_token_p50_s: float | None
    first_token_p95_s: float | None
    tokens_per_s: float | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    unpriced: int
    replayed: int


def calls_of(events: Iterable[AnyEvent]) -> list[ModelCall]:
    """The calls of models in one session's journal, in the order in which they ended."""
    return _Reading().read(events)


def chosen(calls: Iterable[ModelCall], name: str = "", since_s: float = 0.0) -> list[ModelCall]:
    """Those of one model, "" for all, from a time on."""
    return [call for call in calls if call.time >= since_s and name in ("", call.model)]


def figures(calls: Sequence[ModelCall]) -> Figures:
    made = [call for call in calls if not call.replayed]
    whole = [call for call in made if not call.failure]
    latencies = [call.duration_s for call in whole]
    firsts = [call.first_s for call in whole if call.first_s is not None]
    seconds, tokens = math.fsum(latencies), sum(call.output_tokens for call in whole)
    return Figures(
        calls=len(made),
        failures=dict(sorted(Counter(call.failure for call in made if call.failure).items())),
        latency_p50_s=percentile(latencies, 50),
        latency_p95_s=percentile(latencies, 95),
        first_token_p50_s=percentile(firsts, 50),
        first_token_p95_s=percentile(firsts, 95),
        tokens_per_s=round(tokens / seconds, 3) if seconds > 0 else None,
        input_tokens=sum(call.input_tokens for call in made),
        output_tokens=sum(call.output_tokens for call in made),
        cached_tokens=sum(call.cached_tokens for call in made),
        cost_usd=round(math.fsum(call.cost_usd or 0.0 for call in made), 9),
        unpriced=sum(call.cost_usd is None for call in made),
        replayed=len(calls) - len(made),
    )


def performance(calls: Iterable[ModelCall], name: str = "", since_s: float = 0.0) -> dict[str, Any]:
    """The figures of all calls, and of them by day (oldest first) and by model (by name), as plain data."""
    found = chosen(calls, name, since_s)
    return {
        **figures(found)._asdict(),
        "days": [{"day": key, **figures(group)._asdict()} for key, group in _grouped(found, lambda call: _day(call.time))],
        "models": [{"model": key, **figures(group)._asdict()} for key, group in _grouped(found, lambda call: call.model)],
    }


def percentile(values: Sequence[float], percent: int) -> float | None:
    """By the nearest rank: a value that was measured, not one between two."""
    if not values:
        return None
    return round(sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)], 6)


def _grouped(calls: Sequence[ModelCall], key: Callable[[ModelCall], str]) -> list[tuple[str, list[ModelCall]]]:
    groups: dict[str, list[ModelCall]] = {}
    for call in calls:
        groups.setdefault(key(call), []).append(call)
    return sorted(groups.items())


def _day(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).date().isoformat()


class _Open:
    __slots__ = ("cell", "ended", "failure", "first", "replayed", "started", "streams", "used")

    def __init__(self, event: CallStarted) -> None:
        self.cell = event.cell
        self.started = event.time
        self.first: float | None = None
        self.used: list[CallUsage] = []
        self.streams = False
        self.ended: float | None = None
        self.failure = ""
        self.replayed = False


class _Reading:
    """Walks the events of one session, and keeps no more of them than of the calls that used a model."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._states: dict[int, tuple[str, str]] = {}
        """By cell: engine and name of its state."""
        self._streams: dict[tuple[tuple[str, str], int], int] = {}
        """By state and number of a resource, which counts by state: the call that gave it last."""
        self._steps: dict[int, int] = {}
        """Methods of streams that go on: the call that gave the stream."""
        self._done: dict[int, _Open] = {}

    def read(self, events: Iterable[AnyEvent]) -> list[ModelCall]:
        for event in events:
            self._take(event)
        for call in self._open.values():
            if call.ended is not None and call.used:
                self._done[id(call)] = call
        return [_model_call(call) for call in self._done.values()]

    def _take(self, event: AnyEvent) -> None:
        match event:
            case CellStarted():
                self._states[event.cell] = event.engine, event.state
            case CallStarted():
                opener = None if event.target is None else self._streams.get(self._resource(event.cell, event.target))
                if opener is not None:
                    self._steps[event.call] = opener
                else:
                    self._open[event.call] = _Open(event)
            case CallChunk():
                call = self._open.get(event.call)
                if call is not None and call.first is None:
                    call.first = event.time
            case CallUsage() if event.model:
                call = self._open.get(event.call)
                if call is not None:
                    call.used.append(event)
                    if call.streams:
                        call.ended = event.time
            case CallFinished():
                self._finished(event)
            case CallFailed():
                self._failed(event)

    def _resource(self, cell: int, number: int) -> tuple[tuple[str, str], int]:
        return self._states.get(cell, NO_STATE), number

    def _finished(self, event: CallFinished) -> None:
        self._steps.pop(event.call, None)
        call = self._open.get(event.call)
        if call is None:
            return
        call.replayed, call.ended = event.replayed, event.time
        if isinstance(event.value, ResourceRef):
            call.streams = True
            self._streams[self._resource(event.cell, event.value.id)] = event.call
            if call.used:
                call.ended = call.used[-1].time
        else:
            self._end(event.call)

    def _failed(self, event: CallFailed) -> None:
        """A stream's failure is met by the method that reads it."""
        of_stream = self._steps.pop(event.call, None)
        call = self._open.get(event.call if of_stream is None else of_stream)
        if call is None:
            return
        call.failure = CANCELLED if event.cancelled else event.code[:100]
        if of_stream is None:
            call.ended = event.time
            self._end(event.call)

    def _end(self, number: int) -> None:
        call = self._open.pop(number)
        if call.used:
            self._done[id(call)] = call


def _model_call(call: _Open) -> ModelCall:
    used, costs = call.used, [one.cost_usd for one in call.used]
    left = call.streams and used[-1].finish_reason == INCOMPLETE
    return ModelCall(
        used[-1].model[:200],
        call.started,
        max(0.0, (call.ended or call.started) - call.started),
        call.failure or (CANCELLED if left else ""),
        None if call.first is None else max(0.0, call.first - call.started),
        sum(one.input_tokens for one in used),
        sum(one.output_tokens for one in used),
        sum(one.cached_tokens for one in used),
        None if None in costs else math.fsum(cost for cost in costs if cost is not None),
        call.replayed,
    )
