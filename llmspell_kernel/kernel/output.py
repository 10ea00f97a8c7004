"""A cell's output in IPython: text to the streams, shown things and results, always under the cell they belong to.

A callback of the event loop runs in the context of whoever registered it, and ipykernel keeps a cell's parent header in that context:
so each cell's context is captured when it starts, and everything it shows goes through it.  No other module gives a page data of a
script, and this one gives it nothing that `render.guard` has not looked at.
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..render.guard import published
from ..render.shown import shown_bundle
from ..render.text import clean, split_partial_escape
from ..shown import Progress, Shown
from .display import shared_flusher, wants_live
from .progress import ProgressBars

T = TypeVar("T")


class CellOutput:
    """A session's Sink, and a live view's Publish, for one cell.  `finish` is called when the cell ends, however it does; what it
    left in the background may go on to show here.

    `mode` is the display mode of the settings: "live", "static" or "auto".
    """

    def __init__(self, shell: Any, mode: str = "static") -> None:
        self._shell = shell
        self._context = contextvars.copy_context()
        self._cut_escape = {"stdout": "", "stderr": ""}
        self._bars = ProgressBars(self, shared_flusher() if wants_live(mode) else None)
        self.on_clear: Callable[[], None] = lambda: None

    def write(self, stream: str, text: str) -> None:
        """Shows text of the script; of terminal sequences only colours pass, and one that a piece cut in two waits for its rest."""
        target = sys.stdout if stream == "stdout" else sys.stderr
        text, self._cut_escape[stream] = split_partial_escape(self._cut_escape[stream] + text)
        text = clean(text, colour=True)
        if text:
            self._run(lambda: target.write(text))

    def show(self, shown: Shown, null: str) -> int:
        if isinstance(shown, Progress):
            return self._bars.show(shown)
        data = shown_bundle(shown, null)
        self.display(data, {}, "", update=False)
        return sum(len(text.encode()) for text in data.values())

    def clear(self) -> None:
        self._run(lambda: self._shell.display_pub.clear_output(wait=True))
        self._bars.cleared()
        self.on_clear()

    def finish(self) -> None:
        self._bars.finish()

    def display(self, data: Mapping[str, Any], metadata: Mapping[str, Any], display_id: str, update: bool) -> None:
        transient = {"display_id": display_id} if display_id else {}
        shown = published(data, metadata)
        self._run(lambda: self._shell.display_pub.publish(shown.data, shown.metadata, transient=transient, update=update))

    def result(self, value: Any, data: Mapping[str, str]) -> None:
        """The cell's result, as Out[n] and `_`: the plain value for Python, the rich form for the page."""
        hook = self._shell.displayhook

        def show() -> None:
            if isinstance(kept := getattr(sys.displayhook, "outputs", None), list):  # IPython's hook of %%capture
                return kept.append({"data": dict(data), "metadata": {}})
            hook.start_displayhook()
            hook.write_output_prompt()
            hook.write_format_data(published(data, {}).data, {})
            hook.update_user_ns(value)
            hook.finish_displayhook()

        self._run(show)

    def _run(self, function: Callable[[], T]) -> T:
        return self._context.copy().run(function)
