"""A cell's display: a live view while models answer, replaced at the end by what the notebook keeps.

Rules
- At most 25 messages a second leave for all live views together: one timer, one shared `Flusher`.
- The end is one `update_display_data` without the widget (JupyterLab shows "model not found" for a saved one), then the widget closes.
- In static mode, and wherever the live view cannot be had, the end is the only output: notebook tests ignore updates.
- A message from the front end may arrive on another thread: it sets flags, prints nothing and touches no state of ours.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import cache
from importlib.resources import files
from typing import Any, Protocol
from uuid import uuid4

from ..journal.events import AnyEvent
from ..journal.recorder import Recorder
from ..render.guard import LIVE_VIEW
from ..render.live import LivePanes
from ..render.trace import gathered_bundle

log = logging.getLogger(__name__)

INTERVAL_S = 0.04
"""25 a second: with the messages that open and close a view, and the kernel's own, a second stays under 35."""
OPENING_DELAY_S = 0.02
"""A call that ends sooner needs no live view."""


class Publish(Protocol):
    """Sends display_data, or update_display_data when `update`, within the cell's own output."""

    def display(self, data: Mapping[str, Any], metadata: Mapping[str, Any], display_id: str, update: bool) -> None: ...


class LiveWidget(Protocol):
    """The open end of a widget in the front end."""

    model_id: str

    def send(self, content: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...


OpenWidget = Callable[[Callable[[Any], None]], LiveWidget]
"""Makes a widget whose messages go to the given function."""


class Timers(Protocol):
    """What is needed of an event loop."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any: ...

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> Any: ...


class Changing(Protocol):
    """Something on the page that has more to send than may leave: a live view, a progress bar.  `flush` does not raise."""

    def flush(self) -> None: ...


class Flusher:
    """The one timer for all that changes on the pages of an event loop; runs only while something is to be sent."""

    def __init__(self, loop: Timers) -> None:
        self.loop = loop
        self._due: dict[Changing, None] = {}
        self._not_before = 0.0
        self._waiting = False

    def mark(self, view: Changing) -> None:
        """The view has something to send.  Only on the loop's own thread."""
        self._due[view] = None
        if not self._waiting:
            self._waiting = True
            self.loop.call_later(max(OPENING_DELAY_S, self._not_before - self.loop.time()), self._tick)

    def forget(self, view: Changing) -> None:
        self._due.pop(view, None)

    def _tick(self) -> None:
        self._waiting = False
        views, self._due = list(self._due), {}
        self._not_before = self.loop.time() + INTERVAL_S * len(views)  # n views share the rate of one
        for view in views:
            view.flush()


_shared: list[Flusher] = []
"""The process's one flusher, as a rate for all views can only be kept in one place; made anew for a new event loop."""


def shared_flusher() -> Flusher | None:
    """The flusher of the running event loop; None where no loop runs, and so nothing can be live."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    if not _shared or _shared[0].loop is not loop:
        _shared[:] = [Flusher(loop)]
    return _shared[0]


def wants_live(mode: str) -> bool:
    """Is the page to change while a cell runs?  Yes in mode "live", no in "static"; in "auto" in a kernel."""
    return mode == "live" or (mode == "auto" and comms_available())


def comms_available() -> bool:
    """Are we in a Jupyter kernel, which has comms?  Looks without importing anything."""
    kernelbase = sys.modules.get("ipykernel.kernelbase")
    return kernelbase is not None and bool(kernelbase.Kernel.initialized())


class LiveView:
    """Listens to one cell's events from its making to `finish`, which the caller calls once however the cell ends.

    Make it within the cell's own context: what it publishes later, from a timer, belongs to that cell.  `mode` is "live", "static" or
    "auto" (live in a kernel).  `on_stop` is called, perhaps on another thread, when the user presses Stop while the cell runs.
    """

    def __init__(
        self,
        cell: int,
        recorder: Recorder,
        publish: Publish,
        mode: str,
        on_stop: Callable[[], None],
        *,
        flusher: Flusher | None = None,
        open_widget: OpenWidget | None = None,
    ) -> None:
        self._cell = cell
        self._publish = publish
        self._on_stop = on_stop
        self._open_widget = open_widget or open_anywidget
        self._context = copy_context()
        self._panes = LivePanes()
        self._widget: LiveWidget | None = None
        self._display_id = f"llmspell-{uuid4().hex}"
        self._shown = self._finished = self._wants_all = False
        self._flusher = (flusher or shared_flusher()) if wants_live(mode) else None
        self._stop_listening = recorder.listen(self._hear)

    def flush(self) -> None:
        """Sends what changed.  Called by the flusher; a view that fails goes on as a static one."""
        try:
            self._in_cell(self._send_changes)
        except Exception:
            log.warning("the live view of a cell failed; its output appears when the cell ends", exc_info=True)
            self._flusher = None

    def cleared(self) -> None:
        """The page was cleared: what comes next is a new output, because an update would find nothing to replace."""
        self._shown = False

    def finish(self) -> None:
        """Puts the final output in the place of the live view.  Further calls do nothing."""
        if self._finished:
            return
        self._stop_listening()
        if self._flusher is not None:
            self._flusher.forget(self)
        if self._widget is not None and self._flusher is not None:
            self.flush()
        self._finished = True
        try:
            self._in_cell(self._publish_final)
        finally:
            if self._widget is not None:
                self._in_cell(self._widget.close)

    def _hear(self, event: AnyEvent) -> None:
        if event.cell != self._cell:
            return
        self._panes.add(event)
        if self._flusher is not None and self._panes.changed:
            self._flusher.mark(self)

    def _in_cell(self, act: Callable[[], None]) -> None:
        # a copy, as a context cannot be entered twice and a publisher may call back into us
        self._context.copy().run(act)

    def _send_changes(self) -> None:
        if self._finished:
            return
        if not self._shown:
            if not self._panes.has_news:
                return
            self._open()
        if self._widget is None:
            return
        batch = self._panes.snapshot() if self._wants_all else self._panes.take()
        self._wants_all = False
        if batch:
            self._widget.send({"batch": batch})

    def _open(self) -> None:
        self._widget = self._widget or self._open_widget(self._receive)
        data = {
            LIVE_VIEW: {"model_id": self._widget.model_id, "version_major": 2, "version_minor": 0},
            "text/html": "<em>running …</em>",
            "text/plain": "running …",
        }
        self._publish.display(data, {}, self._display_id, update=False)
        self._shown = True

    def _receive(self, content: Any) -> None:
        """A message of the front end, on whatever thread it came."""
        if not isinstance(content, dict):
            return
        if content.get("stop") is True and not self._finished:  # a late Stop must not end the next cell
            self._on_stop()
        flusher = self._flusher
        if content.get("ready") is True and flusher is not None:
            flusher.loop.call_soon_threadsafe(self._send_all_soon)

    def _send_all_soon(self) -> None:
        if self._flusher is not None and not self._finished:
            self._wants_all = True
            self._flusher.mark(self)

    def _publish_final(self) -> None:
        bundle = gathered_bundle(self._panes.gathered, always=self._shown)
        if bundle is None:
            return
        if self._shown:
            try:
                self._publish.display(bundle.data, bundle.metadata, self._display_id, update=True)
                return
            except Exception:
                log.warning("could not replace the live view of a cell; showing its end as a new output", exc_info=True)
        self._publish.display(bundle.data, bundle.metadata, self._display_id, update=False)


def open_anywidget(on_message: Callable[[Any], None]) -> LiveWidget:
    """A widget that runs `render/widgets/live.js` in the front end."""
    widget = _widget_class()()
    widget.on_msg(lambda _widget, content, _buffers: on_message(content))
    opened: LiveWidget = widget
    return opened


@cache  # importing ipywidgets and anywidget takes 0.1 s, so only the first live view pays for it
def _widget_class() -> Any:
    import anywidget

    sources = files("llmspell_kernel.render.widgets")

    class LlmspellLive(anywidget.AnyWidget):  # type: ignore[misc]
        _esm = sources.joinpath("live.js").read_text("utf-8")
        _css = sources.joinpath("live.css").read_text("utf-8")

        def close(self) -> None:
            layout = self.layout
            super().close()
            if layout is not None:
                layout.close()  # a widget of its own, which would stay in the front end for ever

    return LlmspellLive
