"""A collector of OpenTelemetry spans that speaks OTLP over HTTP, as the real ones do."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse


class Got(NamedTuple):
    """A span as it came over the wire."""

    name: str
    id: str
    parent: str
    trace: str
    start: float
    end: float
    kind: int
    status: int
    message: str
    facts: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    service: str


class Collector:
    def __init__(self) -> None:
        self.spans: list[Got] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def named(self, name: str) -> Got:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def below(self, parent: Got) -> list[Got]:
        return sorted((span for span in self.spans if span.parent == parent.id), key=lambda span: span.start)

    def take(self, body: bytes) -> None:
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _facts(of_resource.resource.attributes)["service.name"]
            self.spans += [_got(span, service) for scope in of_resource.scope_spans for span in scope.spans]


def _got(span: Any, service: str) -> Got:
    return Got(
        span.name,
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_id.hex(),
        span.start_time_unix_nano / 1e9,
        span.end_time_unix_nano / 1e9,
        span.kind,
        span.status.code,
        span.status.message,
        _facts(span.attributes),
        [(event.name, _facts(event.attributes)) for event in span.events],
        service,
    )


def _facts(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """A collector, and the address that OTEL_EXPORTER_OTLP_ENDPOINT takes."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.paths.append(self.path)
            collector.headers.append(dict(self.headers))
            collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield collector, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
