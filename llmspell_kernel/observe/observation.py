"""Everything that is switched on of the table [observe], as one listener of a session's recorder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from ..errors import ConfigError
from ..journal.events import AnyEvent
from .content import in_logs, in_spans
from .event_log import EventLog

if TYPE_CHECKING:
    from ..journal.recorder import Recorder
    from ..policy.observe import ObservePolicy

log = logging.getLogger(__name__)
INSTALL = "pip install '.[observe]' in a checkout of llmspell"
MAX_PORT = 65_535


class Subscriber(Protocol):
    """`name` is the setting that switches it on; `start` may raise OSError, and what `__call__` raises ends it."""

    name: str

    def start(self) -> None: ...

    def __call__(self, event: AnyEvent) -> None: ...

    def close(self) -> None: ...


class Observation:
    """Made, it has checked that all it needs is there; `start` opens it, `close` sends what is left, and waits some seconds for it at the most.

    Raises ConfigError for a package that is missing or a variable that says nothing.
    """

    def __init__(self, policy: ObservePolicy, environ: Mapping[str, str]) -> None:
        self._subscribers: list[Subscriber] = []
        self._stop_listening: Callable[[], None] = _nothing
        if policy.traces:
            self._subscribers.append(_spans(environ))
        if policy.metrics_port:
            self._subscribers.append(_metrics(policy.metrics_port))
        if policy.logs:
            self._subscribers.append(EventLog(in_logs(environ)))

    @property
    def is_on(self) -> bool:
        return bool(self._subscribers)

    def start(self, recorder: Recorder) -> None:
        """What cannot start is told of, and left out."""
        for subscriber in tuple(self._subscribers):
            try:
                subscriber.start()
            except Exception as error:
                self._drop(subscriber, error)
        if self._subscribers:
            self._stop_listening = recorder.listen(self)

    def __call__(self, event: AnyEvent) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(event)
            except Exception as error:
                self._drop(subscriber, error)

    def close(self) -> None:
        """Safe to call again."""
        self._stop_listening()
        while self._subscribers:
            self._end(self._subscribers.pop())

    def _drop(self, subscriber: Subscriber, error: Exception) -> None:
        self._subscribers.remove(subscriber)
        log.warning("%s failed, and is off from now on: %s: %s", subscriber.name, type(error).__name__, error)
        self._end(subscriber)

    @staticmethod
    def _end(subscriber: Subscriber) -> None:
        try:
            subscriber.close()
        except Exception as error:
            log.warning("%s did not end well: %s: %s", subscriber.name, type(error).__name__, error)


def _spans(environ: Mapping[str, str]) -> Subscriber:
    try:
        from .spans import CellSpans
        from .tracing import Tracing
    except ImportError as error:
        raise _missing("observe.traces", error) from error
    return CellSpans(Tracing(environ), in_spans(environ))


def _metrics(port: int) -> Subscriber:
    if port > MAX_PORT:
        raise ConfigError(f"there is no port {port}; the highest is {MAX_PORT}", key="observe.metrics_port")
    try:
        from .metrics import Metrics
    except ImportError as error:
        raise _missing("observe.metrics_port", error) from error
    return Metrics(port)


def _missing(key: str, error: ImportError) -> ConfigError:
    return ConfigError(f"the package '{error.name}' is not installed; {INSTALL}", key=key)


def _nothing() -> None:
    pass
