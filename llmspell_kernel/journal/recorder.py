"""The in-memory journal: keeps events in order and tells its listeners.  The only way an event enters is `record`.

Bounded in events and in bytes: the oldest go first.  A single value over 256 KiB is clipped before it is kept or told to anyone, because
listeners keep events too.  Secrets are taken out of each event, and out of the chunks of a call as one text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from sys import getsizeof
from typing import Any, get_args

import msgspec

from ..redaction import Redactor, StreamRedactor
from ..values import Opaque
from .events import AnyEvent, CallChunk, CallFailed, CallFinished, CallUsage, CellFinished

Listener = Callable[[AnyEvent], None]
MAX_EVENTS = 200_000
MAX_BYTES = 64 * 1024 * 1024
"""Oldest events go first; a journal file (not this list) is the record that lasts."""
MAX_VALUE_BYTES = 256 * 1024
TOO_LARGE = 4 * MAX_VALUE_BYTES
"""Of all arguments of a call together."""
POINTER_BYTES = 8
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

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES, redactor: Redactor | None = None) -> None:
        self._redactor = redactor or Redactor()
        self._cut_short: dict[tuple[int, int], StreamRedactor] = {}
        """By cell and call: chunks that may have ended within a secret."""
        self._events: deque[tuple[AnyEvent, int]] = deque()
        self._cells: dict[int, deque[AnyEvent]] = {}
        """The same events by cell, so that the end of each cell need not look through all of them."""
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = self._dropped = 0
        self._listeners: list[Listener] = []

    def __iter__(self) -> Iterator[AnyEvent]:
        return iter([event for event, _ in self._events])

    @property
    def bytes(self) -> int:
        """Estimate of the memory that the kept events hold."""
        return self._bytes

    @property
    def dropped(self) -> int:
        """How many of the oldest events are gone: what is added up from the kept ones is less than there was."""
        return self._dropped

    def record(self, event: AnyEvent) -> None:
        if self._redactor.active:
            for shown in self._redacted(event):
                self._keep(*shown)
        else:
            self._keep(*_clipped(event, self._redactor))

    def _redacted(self, event: AnyEvent) -> Iterator[tuple[AnyEvent, int]]:
        """What is kept of the event, and its weight.  Clipped first: what nobody keeps need not be looked through."""
        if isinstance(event, CallChunk):
            key = event.cell, event.call
            stream = self._cut_short.pop(key, None) or self._redactor.stream()
            text = stream.feed(event.text)
            if stream.holds:
                self._cut_short[key] = stream
            if text:
                yield _clipped(event if text == event.text else msgspec.structs.replace(event, text=text), self._redactor)
            return
        if self._cut_short:
            yield from self._rests(event)
        event, weight = _clipped(event, self._redactor)
        changes = {}
        for name in _LARGE[type(event)]:
            value = getattr(event, name)
            if value and (shown := self._redactor.redact_value(value)) is not value:
                changes[name] = shown
        yield (msgspec.structs.replace(event, **changes) if changes else event), weight

    def _rests(self, event: AnyEvent) -> Iterator[tuple[AnyEvent, int]]:
        """What was held of calls that this event ends."""
        match event:
            case CallUsage() | CallFinished() | CallFailed():
                ended = [(event.cell, event.call)]
            case CellFinished():
                ended = [key for key in self._cut_short if key[0] == event.cell]
            case _:
                return
        for key in ended:
            stream = self._cut_short.pop(key, None)
            if stream is not None and (rest := stream.end()):
                yield _clipped(CallChunk(event.cell, event.time, key[1], rest), self._redactor)

    def _keep(self, event: AnyEvent, weight: int) -> None:
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
        self._dropped += 1
        of_cell = self._cells[event.cell]
        of_cell.popleft()
        if not of_cell:
            del self._cells[event.cell]


def _clipped(event: AnyEvent, redactor: Redactor) -> tuple[AnyEvent, int]:
    """The event with its large values clipped, and about how many bytes it holds."""
    total, changes = FIXED_BYTES, {}
    for name in _LARGE[type(event)]:
        value = getattr(event, name)
        weight = _weight(value)
        if weight > MAX_VALUE_BYTES:
            changes[name] = value = _clip_field(value, redactor)
            weight = _weight(value)
        total += weight
    return (msgspec.structs.replace(event, **changes) if changes else event), total


def _clip_field(value: Any, redactor: Redactor) -> Any:
    """Arguments and the fields of a log entry are clipped one by one, and keep their shape as long as all are small enough together."""
    if isinstance(value, list):
        parts = _parts(value, redactor)
        return parts if parts is not None else [_marker(value)]
    if isinstance(value, dict):
        parts = _parts(value.values(), redactor)
        return dict(zip(value, parts, strict=True)) if parts is not None else {"clipped": _marker(value)}
    return _clip(value, redactor)


def _parts(items: Collection[Any], redactor: Redactor) -> list[Any] | None:
    """Each clipped by itself; None where they are too large together."""
    parts, total = [], len(items) * POINTER_BYTES
    for item in items:
        if total > TOO_LARGE:
            return None
        parts.append(_clip(item, redactor))
        total += _weight(parts[-1])
    return parts if total <= TOO_LARGE else None


def _clip(value: Any, redactor: Redactor) -> Any:
    weight = _weight(value)
    if weight <= MAX_VALUE_BYTES:
        return value
    if isinstance(value, str):
        # at most four bytes a character in memory, so the head stays below the limit whatever it is written in
        head = redactor.stream().feed(value[: MAX_VALUE_BYTES // 8])  # without what the cut may have left of a secret
        return f"{head}... [{len(value)} characters in all; the journal keeps the first]"
    return _marker(value)


def _marker(value: Any) -> Opaque:
    weight = _weight(value)
    size = f"more than {TOO_LARGE}" if isinstance(value, (list, tuple, dict)) and weight > TOO_LARGE else f"about {weight}"
    return Opaque(f"[{type(value).__name__} of {size} bytes: over {MAX_VALUE_BYTES} bytes the journal keeps none]")


def _weight(value: Any) -> int:
    """About how many bytes of memory a value holds; of one over TOO_LARGE, as many as were counted until that was known.

    A script may send a million small items with each call: looking at all of them again and again held the kernel up for seconds.
    """
    kind, total = type(value), getsizeof(value)
    if kind is list or kind is tuple:
        for item in value:
            if total > TOO_LARGE:
                break
            total += _weight(item)
    elif kind is dict:
        for key, item in value.items():
            if total > TOO_LARGE:
                break
            total += getsizeof(key) + _weight(item)
    return total
