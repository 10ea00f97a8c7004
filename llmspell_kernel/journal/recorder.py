"""The in-memory journal: keeps events in order and tells its listeners.  The only way an event enters is `record`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from .events import AnyEvent

Listener = Callable[[AnyEvent], None]
MAX_EVENTS = 200_000
"""Oldest events go first; a journal file (not this list) is the record that lasts."""


class Recorder:
    """Listeners run in the order they were added, at once, on the session's event loop."""

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self._events: deque[AnyEvent] = deque(maxlen=max_events)
        self._listeners: list[Listener] = []

    def __iter__(self) -> Iterator[AnyEvent]:
        return iter(tuple(self._events))

    def record(self, event: AnyEvent) -> None:
        self._events.append(event)
        for listener in tuple(self._listeners):
            listener(event)

    def of_cell(self, cell: int) -> list[AnyEvent]:
        return [event for event in self._events if event.cell == cell]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Adds a listener; the returned function removes it."""
        self._listeners.append(listener)

        def remove() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return remove
