"""The in-memory journal: keeps events in order and tells its listeners.  The only way an event enters is `record`.

Bounded in events and in bytes: the oldest go first.  A single value over 256 KiB is clipped before it is kept or told to anyone, because
listeners keep events too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from sys import getsizeof
from typing import Any, get_args

import msgspec

from ..values import Opaque
from .events import AnyEvent

Listener = Callable[[AnyEvent], None]
MAX_EVENTS = 200_000
MAX_BYTES = 64 * 1024 * 1024
"""Oldest events go first; a journal file (not this list) is the record that lasts."""
MAX_VALUE_BYTES = 256 * 1024
FIXED_BYTES = 256
"""Estimate of an event without what its fields hold."""
_SMALL = {
    *("cell", "time", "call", "bridge", "method", "state", "engine", "parent", "target", "status", "level"),
    *("duration_s", "script_time_s", "output_bytes"),
}
"""Fields that are short whatever a script does; looking at each would cost every effect some microseconds."""
_LARGE: dict[type[AnyEvent], tuple[str, ...]] = {
    kind: tuple(name for name in kind.__struct_fields__ if name not in _SMALL) for kind in get_args(AnyEvent)
}


class Recorder:
    """Listeners run in the order they were added, at once, on the session's event loop."""

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._events: deque[tuple[AnyEvent, int]] = deque()
        self._cells: dict[int, deque[AnyEvent]] = {}
        """The same events by cell, so that the end of each cell need not look through all of them."""
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._listeners: list[Listener] = []

    def __iter__(self) -> Iterator[AnyEvent]:
        return iter([event for event, _ in self._events])

    @property
    def bytes(self) -> int:
        """Estimate of the memory that the kept events hold."""
        return self._bytes

    def record(self, event: AnyEvent) -> None:
        event, weight = _clipped(event)
        self._events.append((event, weight))
        self._bytes += weight
        if event.cell not in self._cells:
            self._cells[event.cell] = deque()
        self._cells[event.cell].append(event)
        while len(self._events) > self._max_events or self._bytes > self._max_bytes:
            self._drop_oldest()
        for listener in tuple(self._listeners):
            listener(event)

    def of_cell(self, cell: int) -> list[AnyEvent]:
        return list(self._cells.get(cell, ()))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Adds a listener; the returned function removes it."""
        self._listeners.append(listener)

        def remove() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return remove

    def _drop_oldest(self) -> None:
        event, weight = self._events.popleft()
        self._bytes -= weight
        of_cell = self._cells[event.cell]
        of_cell.popleft()
        if not of_cell:
            del self._cells[event.cell]


def _clipped(event: AnyEvent) -> tuple[AnyEvent, int]:
    """The event with its large values clipped, and about how many bytes it holds."""
    total, changes = FIXED_BYTES, {}
    for name in _LARGE[type(event)]:
        value = getattr(event, name)
        weight = _weight(value)
        if weight > MAX_VALUE_BYTES:
            changes[name] = value = _clip_field(value)
            weight = _weight(value)
        total += weight
    return (msgspec.structs.replace(event, **changes) if changes else event), total


def _clip_field(value: Any) -> Any:
    """Arguments and the fields of a log entry are clipped one by one, and keep their shape as long as all are small enough together."""
    if isinstance(value, list):
        parts = [_clip(item) for item in value]
        return parts if _weight(parts) <= 4 * MAX_VALUE_BYTES else [_marker(value)]
    if isinstance(value, dict):
        named = {name: _clip(item) for name, item in value.items()}
        return named if _weight(named) <= 4 * MAX_VALUE_BYTES else {"clipped": _marker(value)}
    return _clip(value)


def _clip(value: Any) -> Any:
    weight = _weight(value)
    if weight <= MAX_VALUE_BYTES:
        return value
    if isinstance(value, str):
        # at most four bytes a character in memory, so the head stays below the limit whatever it is written in
        return f"{value[: MAX_VALUE_BYTES // 8]}... [{len(value)} characters in all; the journal keeps the first]"
    return _marker(value)


def _marker(value: Any) -> Opaque:
    return Opaque(f"[{type(value).__name__} of about {_weight(value)} bytes: over {MAX_VALUE_BYTES} bytes the journal keeps none]")


def _weight(value: Any) -> int:
    """About how many bytes of memory a value holds."""
    kind = type(value)
    if kind is list or kind is tuple:
        return getsizeof(value) + sum([_weight(item) for item in value])
    if kind is dict:
        return getsizeof(value) + sum([getsizeof(key) + _weight(item) for key, item in value.items()])
    return getsizeof(value)
