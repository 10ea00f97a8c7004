"""A tracer as the OTEL_* variables say, and the end of its export.

The SDK reads most of them itself: sampler, resource, batches, limits of spans, and the exporter its endpoint, headers and timeouts.  A tracer
provider that the user's program has set up is used as it is, so that spans of cells join its traces.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from threading import Event, Thread

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from .. import __version__ as VERSION
from ..errors import ConfigError, nearest

log = logging.getLogger(__name__)
SCOPE = "llmspell"
CLOSE_S = 3.0
"""How long the last spans may take to be sent: Jupyter gives a kernel five seconds to end."""
MESSAGE_CHARS = 300
EXPORTERS = "opentelemetry_traces_exporter"
"""The entry point group that every exporter package has."""
_OTLP = {"": "otlp_proto_http", "http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_HTTP_PACKAGE = "opentelemetry-exporter-otlp-proto-http"
_PACKAGES = {"otlp_proto_grpc": "opentelemetry-exporter-otlp-proto-grpc", "otlp_proto_http": _HTTP_PACKAGE}


class Tracing:
    """`tracer` makes spans; `close` sends those that have ended.  Raises ConfigError for an exporter that there is not."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        found = trace.get_tracer_provider()
        self._exporters: list[SpanExporter] = []
        self._foreign = isinstance(found, TracerProvider)
        if isinstance(found, TracerProvider):
            self._provider = found
        else:
            kinds = [_exporter(name, environ) for name in exporter_names(environ)]
            self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
            self._exporters = [kind() for kind in kinds]
            for exporter in self._exporters:
                self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self._provider.get_tracer(SCOPE, VERSION)
        self._failures = _FirstFailure()
        self._closing = Event()
        self._closer = Thread(target=self._close_when_told, daemon=True, name="llmspell spans")

    def start(self) -> None:
        logger = logging.getLogger("opentelemetry")
        if not logger.hasHandlers():
            logger.addHandler(self._failures)
        self._closer.start()  # now, as no thread can be started at the end of the process

    def close(self) -> None:
        """The SDK tries for as long as its variables say to reach a collector that does not answer; here nobody waits for that."""
        if self._closer.ident is None:
            return self._finish()
        self._closing.set()
        self._closer.join(CLOSE_S)
        if self._closer.is_alive():
            for exporter in self._exporters:
                exporter.shutdown()  # ends its waiting for the next attempt
            self._failures.tell(f"the last were not sent within {CLOSE_S:g} s")

    def _close_when_told(self) -> None:
        self._closing.wait()
        self._finish()

    def _finish(self) -> None:
        try:
            if self._foreign:
                self._provider.force_flush()
            else:
                self._provider.shutdown()
        finally:
            logging.getLogger("opentelemetry").removeHandler(self._failures)


class _FirstFailure(logging.Handler):
    """Where no log is kept, a collector that is not there is told of once, not every five seconds in whatever cell runs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told = False

    def emit(self, record: logging.LogRecord) -> None:
        self.tell(record.getMessage())

    def tell(self, why: str) -> None:
        if not self._told:
            self._told = True
            log.warning("observe.traces: spans are lost: %s [told once]", why[:MESSAGE_CHARS])


def exporter_names(environ: Mapping[str, str]) -> list[str]:
    """The entry points of OTEL_TRACES_EXPORTER, where `otlp`, the default, is the protocol that the variables name, HTTP if none."""
    given = [name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()] or ["otlp"]
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or ""
    return [_protocol(protocol.strip()) if name == "otlp" else name for name in given if name != "none"]


def _protocol(name: str) -> str:
    if name not in _OTLP:
        raise ConfigError(f"OTEL_EXPORTER_OTLP_PROTOCOL: there is no protocol '{name}'{nearest(name, [known for known in _OTLP if known])}")
    return _OTLP[name]


def _exporter(name: str, environ: Mapping[str, str]) -> type[SpanExporter]:
    found = entry_points(group=EXPORTERS)
    known: Sequence[str] = sorted({point.name for point in found})
    if name not in known:
        mend = f"; pip install {_PACKAGES[name]}" if name in _PACKAGES else nearest(name, ["otlp", "none", *known])
        raise ConfigError(f"OTEL_TRACES_EXPORTER: there is no exporter '{name}'{mend}", key="observe.traces")
    kind: type[SpanExporter] = next(point for point in found if point.name == name).load()
    return kind


def _resource() -> Resource:
    """As OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say; ours is the name of a service that nobody named."""
    named = Resource.create()
    if str(named.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        return named.merge(Resource({SERVICE_NAME: SCOPE, "service.version": VERSION}))
    return named
