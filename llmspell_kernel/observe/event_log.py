"""Events as lines of JSON on the logger `llmspell.events`: one event, one line."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ..journal.events import AnyEvent, BudgetRefused, BudgetWarned, CallChunk, CallDenied, CallFailed, Logged, Retried, WorkerWasLost
from .content import fact_line, whole_line

LOGGER = "llmspell.events"
_LEVELS: Mapping[type, int] = {
    CallChunk: logging.DEBUG,
    CallDenied: logging.WARNING,
    CallFailed: logging.WARNING,
    Retried: logging.WARNING,
    BudgetWarned: logging.WARNING,
    BudgetRefused: logging.WARNING,
    WorkerWasLost: logging.ERROR,
}
_OF_SCRIPTS = {"debug": logging.DEBUG, "warn": logging.WARNING, "error": logging.ERROR}


class EventLog:
    """Where nobody has set the logger up, its lines go to stderr from the level INFO on."""

    name = "observe.logs"

    def __init__(self, capture: bool) -> None:
        self._line = whole_line if capture else fact_line
        self._logger = logging.getLogger(LOGGER)
        self._own_level = self._logger.level == logging.NOTSET
        self._own_handler: logging.Handler | None = None

    def start(self) -> None:
        if self._own_level:
            self._logger.setLevel(logging.INFO)
        if not self._logger.hasHandlers():
            self._own_handler = logging.StreamHandler()
            self._logger.addHandler(self._own_handler)

    def __call__(self, event: AnyEvent) -> None:
        level = _OF_SCRIPTS.get(event.level, logging.INFO) if isinstance(event, Logged) else _LEVELS.get(type(event), logging.INFO)
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", self._line(event))

    def close(self) -> None:
        if self._own_handler is not None:
            self._logger.removeHandler(self._own_handler)
        if self._own_level:
            self._logger.setLevel(logging.NOTSET)
