"""What came of a run: one object for its value or error, what it printed and logged, and what it cost.

All but the value and the printed text is read from the journal's events of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, NamedTuple

from ..errors import SpellError
from ..journal.events import (
    AnyEvent,
    CallChunk,
    CallDenied,
    CallFailed,
    CallFinished,
    CallStarted,
    CallUsage,
    CellFinished,
    CellStarted,
    Logged,
)
from ..shown import Shown
from ..values import Opaque, Value
from .sink import Sink

REPR_CHARS = 200
MAX_PIECES = 10_000
"""Of kept output: a script that goes from one stream to the other with each letter must not cost a piece a letter.  After so many, what it
prints is added to the stream's last piece."""


class Printed(NamedTuple):
    """A piece of output: all that went to one stream ("stdout" or "stderr") until something went to the other."""

    stream: str
    text: str


class Output(tuple[Printed, ...]):
    """What a run printed, in order, up to the limit `output_bytes`, and the end of what was over it.  `str(output)` is all of it."""

    __slots__ = ()

    @property
    def stdout(self) -> str:
        return "".join(text for stream, text in self if stream == "stdout")

    @property
    def stderr(self) -> str:
        return "".join(text for stream, text in self if stream == "stderr")

    def __str__(self) -> str:
        return "".join(text for _, text in self)


class LogEntry(NamedTuple):
    """`time` is in Unix seconds; `state` names the script state that logged."""

    level: str
    message: str
    time: float
    fields: Mapping[str, Any]
    state: str


class Tokens(NamedTuple):
    """`cached_tokens` are part of `input_tokens`.  `cost_usd` is None as soon as the price of one call is not known."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = 0.0

    def plus(self, used: CallUsage) -> Tokens:
        cost_usd = None if self.cost_usd is None or used.cost_usd is None else round(self.cost_usd + used.cost_usd, 10)
        return Tokens(
            self.calls + 1,
            self.input_tokens + used.input_tokens,
            self.output_tokens + used.output_tokens,
            self.cached_tokens + used.cached_tokens,
            cost_usd,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """What the run's models used, all together and by model."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    by_model: Mapping[str, Tokens] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metrics:
    """`effects` reached a bridge, `failed` are those of them that failed, `denied` were refused before.

    `script_time_s` is what counts against the limit of that name; `waiting_s` the rest: effects, and a worker's start.
    `complete` is False where the journal had to drop events of the run: then the numbers are too small, and the cost is not known.
    """

    effects: int = 0
    failed: int = 0
    denied: int = 0
    script_time_s: float = 0.0
    waiting_s: float = 0.0
    output_bytes: int = 0
    complete: bool = True


class Account(NamedTuple):
    """What the journal's events of one run say."""

    logs: Sequence[LogEntry]
    metrics: Metrics
    usage: Usage
    cost: float | None
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExecutionResult:
    """`values` are the script's results (Lua may have several; empty = none), `outputs` the globals that were asked for by name.

    A fault of the script, a limit, a stop or a lost worker is `error`.  `cost` is in US dollars, None where a price is not known.
    `cell` is the id under which the journal holds the run's events.
    """

    cell: int
    values: list[Value]
    error: SpellError | None
    outputs: dict[str, Any]
    output: Output
    logs: Sequence[LogEntry]
    metrics: Metrics
    usage: Usage
    cost: float | None
    duration_s: float

    @property
    def value(self) -> Any:
        """The script's result: None without one, a tuple of several; what can only be shown is its text."""
        plain = [value.text if isinstance(value, Opaque) else value for value in self.values]
        if len(plain) > 1:
            return tuple(plain)
        return plain[0] if plain else None

    def raise_for_error(self) -> ExecutionResult:
        """Raises `error` if there is one; else the result itself, for chaining."""
        if self.error is not None:
            raise self.error
        return self

    def __repr__(self) -> str:
        what = (
            f"value={_clipped(self.value)}" if self.error is None else f"error={type(self.error).__name__}({_clipped(self.error.message)})"
        )
        cost = "unknown" if self.cost is None else f"${self.cost:.4f}"
        tokens = self.usage.input_tokens + self.usage.output_tokens
        return f"ExecutionResult({what}, {self.metrics.effects} effects, {tokens} tokens, cost {cost}, {self.duration_s:.3f} s)"


class KeptOutput:
    """A sink that keeps what is printed and passes everything on."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pieces: list[tuple[str, StringIO]] = []
        self._last: dict[str, StringIO] = {}
        self._taken = False

    def write(self, stream: str, text: str) -> None:
        if not self._taken:
            self._keep(stream, text)
        self._sink.write(stream, text)

    def _keep(self, stream: str, text: str) -> None:
        is_new = not self._pieces or self._pieces[-1][0] != stream
        if is_new and (len(self._pieces) < MAX_PIECES or stream not in self._last):
            self._last[stream] = StringIO()
            self._pieces.append((stream, self._last[stream]))
        self._last[stream].write(text)

    def show(self, shown: Shown, null: str) -> int:
        return self._sink.show(shown, null)

    def clear(self) -> None:
        self._sink.clear()

    def output(self) -> Output:
        """What came until now; what the run's background prints later is passed on, but no longer kept."""
        self._taken = True
        return Output(Printed(stream, text.getvalue()) for stream, text in self._pieces)


def account(events: Iterable[AnyEvent]) -> Account:
    """The account of one run from its events, `CellStarted` to `CellFinished`.  The journal drops the oldest first: a lost start tells."""
    state, complete, finished = "", False, CellFinished(0, 0.0, "error", 0.0)
    logs: list[LogEntry] = []
    total, by_model = Tokens(), dict[str, Tokens]()
    effects = failed = denied = 0
    for event in events:
        match event:
            case CallFinished() | CallChunk():
                continue  # most of the events
            case CallStarted():
                effects += 1
            case CallUsage():
                total = total.plus(event)
                by_model[event.model] = by_model.get(event.model, Tokens()).plus(event)
            case CallFailed():
                failed += 1
            case CallDenied():
                denied += 1
            case Logged():
                logs.append(LogEntry(event.level, event.message, event.time, event.fields, state))
            case CellStarted():
                state, complete = event.state, True
            case CellFinished():
                finished = event
    waiting_s = max(0.0, finished.duration_s - finished.script_time_s)
    metrics = Metrics(effects, failed, denied, finished.script_time_s, waiting_s, finished.output_bytes, complete)
    usage = Usage(total.input_tokens, total.output_tokens, total.cached_tokens, by_model)
    return Account(tuple(logs), metrics, usage, total.cost_usd if complete else None, finished.duration_s)


def _clipped(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= REPR_CHARS else f"{shown[:REPR_CHARS]}…"
