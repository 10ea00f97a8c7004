"""What the live view of a cell shows: panes of streaming text, as operations for `widgets/live.js`.  Sans-IO; the kernel paces and sends.

Operations: `pane` (id, title), `text` (id, text), `status` (id, status, note), `span` (id, span, text, status), `drop` (id),
`more` (text), `reset`.
"""

from __future__ import annotations

from typing import Any

from ..journal.events import AnyEvent
from .calls import Call, Gathered
from .text import clean, split_partial_escape
from .trace import call_title, usage_text

MAX_PANES = 50
MAX_SPANS = 50
"""Of one pane."""
MAX_QUEUED = 1_000
"""Operations that wait to be taken, besides texts."""
MAX_TEXT_CHARS = 200_000
"""Of all panes together, the tail: as in live.js."""
ANSWERING = frozenset({"llm.chat", "llm.complete", "llm.generate", "llm.stream"})
"""Calls that get a pane before their first text, so that the wait for a model can be seen; any other call gets one when it streams."""

Operation = dict[str, Any]


class _Pane:
    """One call on show, and what was not sent of it yet."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.pending = ""
        self.sent = ""
        """The tail of the text that was sent."""
        self.sent_status = ("running", "")
        self.spans: dict[int, Call] = {}
        self.new_spans: dict[int, Call] = {}

    @property
    def status(self) -> tuple[str, str]:
        return (self.call.status, " · ".join(part for part in (clean(self.call.model), usage_text(self.call)) if part))


class LivePanes:
    """Takes in a cell's events; `take` gives what changed since the last time, `snapshot` everything for a view that was just drawn."""

    def __init__(self) -> None:
        self.gathered = Gathered()
        self._panes: dict[int, _Pane] = {}
        self._queue: list[Operation] = []
        self._stale = False
        """So many panes came and went since the last `take` that everything is sent anew."""
        self._changed: dict[int, _Pane] = {}
        self._hidden = self._sent_hidden = 0

    @property
    def changed(self) -> bool:
        return bool(self._queue or self._changed or self._stale or self._hidden != self._sent_hidden)

    @property
    def has_news(self) -> bool:
        """Something on show still goes on, or its text was not sent yet."""
        return any(pane.call.status == "running" or pane.pending for pane in self._panes.values())

    def add(self, event: AnyEvent) -> None:
        call = self.gathered.add(event)
        if call is None:
            if self.gathered.cell_status:
                self._changed.update(self._panes)  # the end of the cell ended every open call
            return
        if not call.met and (call.is_answer or call.name in ANSWERING):
            self._show(call)
        pane = self._panes.get(call.call)
        if pane is not None:
            pane.pending += getattr(event, "text", "")
            if len(pane.pending) > 2 * MAX_TEXT_CHARS:  # nobody takes: the view is not open, or the script is faster than the timer
                pane.pending = pane.pending[-MAX_TEXT_CHARS:]
            self._changed[call.call] = pane
        self._note_span(call)

    def take(self) -> list[Operation]:
        if self._stale:
            return self.snapshot()
        operations, self._queue = self._queue, []
        for pane in self._changed.values():
            operations.extend(self._changes(pane))
        self._changed = {}
        if self._hidden != self._sent_hidden:
            self._sent_hidden = self._hidden
            operations.append(self._more())
        return operations

    def snapshot(self) -> list[Operation]:
        """All there is, after which `take` continues."""
        self._stale = False
        self.take()
        operations: list[Operation] = [{"op": "reset"}]
        room = MAX_TEXT_CHARS // max(1, len(self._panes))
        for number, pane in self._panes.items():
            operations.append({"op": "pane", "id": number, "title": call_title(pane.call)})
            operations.append({"op": "text", "id": number, "text": clean(pane.sent[-room:])})
            operations.append(self._status(pane))
            operations.extend(self._span(number, call) for call in pane.spans.values())
        return [*operations, self._more()] if self._hidden else operations

    def _show(self, call: Call) -> None:
        call.met = True
        if len(self._panes) >= MAX_PANES:
            self._hidden += 1
            ended = next((number for number, pane in self._panes.items() if pane.call.status != "running"), None)
            if ended is None:
                return
            del self._panes[ended]
            self._changed.pop(ended, None)
            self._queue.append({"op": "drop", "id": ended})
        self._panes[call.call] = _Pane(call)
        self._queue.append({"op": "pane", "id": call.call, "title": call_title(call)})
        if len(self._queue) > MAX_QUEUED:
            self._queue, self._stale = [], True

    def _note_span(self, call: Call) -> None:
        """A call within a shown call is a line under its pane."""
        above = call.above
        while above is not None and above.call not in self._panes:
            above = above.above
        if above is None:
            return
        pane = self._panes[above.call]
        if call.call in pane.spans or len(pane.spans) < MAX_SPANS:
            pane.spans[call.call] = pane.new_spans[call.call] = call
            self._changed[above.call] = pane

    def _changes(self, pane: _Pane) -> list[Operation]:
        number, operations = pane.call.call, []
        ready, pane.pending = split_partial_escape(pane.pending) if pane.call.status == "running" else (pane.pending, "")
        if ready:
            pane.sent = (pane.sent + ready)[-MAX_TEXT_CHARS:]
            room = MAX_TEXT_CHARS // len(self._panes)
            operations.append({"op": "text", "id": number, "text": clean(ready[-room:])})
        operations.extend(self._span(number, call) for call in pane.new_spans.values())
        pane.new_spans = {}
        if pane.status != pane.sent_status:
            operations.append(self._status(pane))
        return operations

    @staticmethod
    def _span(number: int, call: Call) -> Operation:
        return {"op": "span", "id": number, "span": call.call, "text": clean(call.name), "status": call.status}

    @staticmethod
    def _status(pane: _Pane) -> Operation:
        pane.sent_status = pane.status
        status, note = pane.status
        return {"op": "status", "id": pane.call.call, "status": status, "note": note}

    def _more(self) -> Operation:
        word = "call" if self._hidden == 1 else "calls"
        return {"op": "more", "text": f"and {self._hidden:,} more {word}, shown when the cell ends"}
