"""Counts and times of cells and calls for Prometheus, served on this machine alone.

Rules
- The server listens on 127.0.0.1, and answers only requests that name it so: a web page that has its own name point here reads nothing.
- A label never takes more than so many values, as each is kept for ever: what comes later counts as `other`.  Calls that were refused and
  models that answered nothing bring no new ones, since a script may name whatever it likes.
- What a cassette answered is counted as a call, and costs neither tokens nor money.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Histogram, make_wsgi_app

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
    StateRestored,
    WorkerWasLost,
)
from ..values import ResourceRef
from .content import cut

HOST = "127.0.0.1"
MOST_CALLS = 500
"""Values of the label `call`: more than all bridges have methods."""
MOST_MODELS = 100
MOST_OPEN = 10_000
OTHER = "other"
SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
"""From a call that only computes to a long answer."""


class Names:
    """Values of a label, up to a number of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def take(self, name: str) -> str:
        if name in self._known:
            return name
        name = cut(name)
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name

    def known(self, name: str) -> str:
        """The name, where it was taken before."""
        name = cut(name)
        return name if name in self._known else OTHER


class _Call:
    __slots__ = ("name", "started_s", "streams", "texts", "used")

    def __init__(self, name: str, started_s: float) -> None:
        self.name = name
        self.started_s = started_s
        self.used: list[CallUsage] = []
        self.texts = False
        self.streams = False
        """It has given a stream that goes on."""


class Metrics:
    """A listener, and the server that shows what it has counted."""

    name = "observe.metrics_port"

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: WSGIServer | None = None
        self.registry = registry = CollectorRegistry()
        self._cells = Counter("llmspell_cells", "Cells that ended.", ["engine", "status"], registry=registry)
        self._cell_s = Histogram("llmspell_cell_seconds", "How long cells took.", ["engine"], registry=registry, buckets=SECONDS)
        self._calls = Counter("llmspell_calls", "Calls of bridges that ended.", ["call", "outcome"], registry=registry)
        self._call_s = Histogram("llmspell_call_seconds", "How long calls took.", ["call"], registry=registry, buckets=SECONDS)
        self._first_s = Histogram(
            "llmspell_first_text_seconds", "How long until the first text of an answer.", ["call"], registry=registry, buckets=SECONDS
        )
        self._tokens = Counter(
            "llmspell_tokens", "Tokens: input (without what was cached), cached, output.", ["model", "kind"], registry=registry
        )
        self._cost = Counter("llmspell_cost_usd", "Money of answers whose price is known.", ["model"], registry=registry)
        self._unpriced = Counter("llmspell_unpriced_requests", "Answers whose price is not known.", ["model"], registry=registry)
        self._lost = Counter("llmspell_workers_lost", "Workers that died.", registry=registry)
        self._restored = Counter("llmspell_states_restored", "States that came back.", registry=registry)
        self._denials = Counter("llmspell_denials", "Calls that were refused.", ["call"], registry=registry)
        self._engines: OrderedDict[int, str] = OrderedDict()
        self._open: OrderedDict[int, _Call] = OrderedDict()
        self._of_call: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        """By call and outcome: looking them up by their labels would cost every effect some microseconds."""
        self._names, self._models, self._engine_names = Names(MOST_CALLS), Names(MOST_MODELS), Names(MOST_MODELS)
        self._take: dict[type, Callable[[Any], None]] = {
            CellStarted: self._cell_started,
            CellFinished: self._cell_finished,
            CallStarted: self._call_started,
            CallChunk: self._chunk,
            CallUsage: self._usage,
            CallFinished: self._call_finished,
            CallFailed: self._call_failed,
            CallDenied: self._denied,
            WorkerWasLost: lambda _: self._lost.inc(),
            StateRestored: lambda _: self._restored.inc(),
        }

    def start(self) -> None:
        """Raises OSError where the port is another's."""
        self._server = make_server(HOST, self._port, _for_this_machine(make_wsgi_app(self.registry)), _Server, _Silent)
        Thread(target=self._server.serve_forever, daemon=True, name="llmspell metrics").start()

    @property
    def port(self) -> int:
        return self._port if self._server is None else self._server.server_port

    def __call__(self, event: AnyEvent) -> None:
        take = self._take.get(type(event))
        if take is not None:
            take(event)

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _cell_started(self, event: CellStarted) -> None:
        _put(self._engines, event.cell, self._engine_names.take(event.engine))

    def _cell_finished(self, event: CellFinished) -> None:
        engine = self._engines.pop(event.cell, OTHER)
        self._cells.labels(engine, event.status).inc()
        self._cell_s.labels(engine).observe(event.duration_s)

    def _call_started(self, event: CallStarted) -> None:
        _put(self._open, event.call, _Call(self._names.take(f"{event.bridge}.{event.method}"), event.time))

    def _chunk(self, event: CallChunk) -> None:
        call = self._open.get(event.call)
        if call is not None and not call.texts:
            call.texts = True
            self._first_s.labels(call.name).observe(max(0.0, event.time - call.started_s))

    def _usage(self, event: CallUsage) -> None:
        call = self._open.get(event.call)
        if call is None:
            return
        if call.streams:
            del self._open[event.call]
            self._spend(event)
        else:
            call.used.append(event)

    def _call_finished(self, event: CallFinished) -> None:
        call = self._ended(event.call, "replayed" if event.replayed else "ok", event.duration_s)
        if call is None or event.replayed:
            return
        for used in call.used:
            self._spend(used)
        if isinstance(event.value, ResourceRef) and not call.used:
            call.streams = True
            _put(self._open, event.call, call)

    def _call_failed(self, event: CallFailed) -> None:
        call = self._ended(event.call, "cancelled" if event.cancelled else "failed", event.duration_s)
        for used in call.used if call is not None else ():
            self._spend(used)

    def _ended(self, number: int, outcome: str, duration_s: float) -> _Call | None:
        call = self._open.pop(number, None)
        if call is not None:
            counted, timed = self._of_call.get((call.name, outcome)) or self._found(call.name, outcome)
            counted.inc()
            timed.observe(duration_s)
        return call

    def _found(self, name: str, outcome: str) -> tuple[Counter, Histogram]:
        found = self._of_call[name, outcome] = self._calls.labels(name, outcome), self._call_s.labels(name)
        return found

    def _denied(self, event: CallDenied) -> None:
        name = self._names.known(f"{event.bridge}.{event.method}")
        self._calls.labels(name, "denied").inc()
        self._denials.labels(name).inc()

    def _spend(self, used: CallUsage) -> None:
        answered = used.input_tokens > 0 or used.output_tokens > 0
        model = self._models.take(used.model) if answered else self._models.known(used.model)
        for kind, count in _kinds(used):
            if count > 0:
                self._tokens.labels(model, kind).inc(count)
        if used.cost_usd is not None:
            self._cost.labels(model).inc(max(0.0, used.cost_usd))
        elif answered:
            self._unpriced.labels(model).inc()


def _kinds(used: CallUsage) -> Iterable[tuple[str, int]]:
    yield "input", used.input_tokens - used.cached_tokens
    yield "cached", used.cached_tokens
    yield "output", used.output_tokens


def _put(open_ones: OrderedDict[int, Any], key: int, value: Any) -> None:
    open_ones[key] = value
    if len(open_ones) > MOST_OPEN:
        open_ones.popitem(last=False)


def _for_this_machine(app: Any) -> Any:
    def checked(environ: dict[str, Any], start_response: Any) -> Any:
        host = str(environ.get("HTTP_HOST", "")).rpartition(":")[0] or str(environ.get("HTTP_HOST", ""))
        if host not in (HOST, "localhost"):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"Ask 127.0.0.1 or localhost.\n"]
        return app(environ, start_response)

    return checked


class _Server(ThreadingMixIn, WSGIServer):
    """A reader that takes its time holds up no other."""

    daemon_threads = True


class _Silent(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        """No line for each time that Prometheus asks."""
