"""A cell's output in IPython: text to the streams, displays and results, always under the cell they belong to.

A callback of the event loop runs in the context of whoever registered it, and ipykernel keeps a cell's parent header in that context:
so each cell's context is captured when it starts, and everything it shows goes through it.
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..render.text import clean, clean_clipped, split_partial_escape
from ..render.values import bundle
from ..values import Value

T = TypeVar("T")
MAX_TITLE_CHARS = 1_000


class CellOutput:
    """A session's Sink, and a live view's Publish, for one cell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._context = contextvars.copy_context()
        self._cut_escape = {"stdout": "", "stderr": ""}

    def write(self, stream: str, text: str) -> None:
        """Shows text of the script; of terminal sequences only colours pass, and one that a piece cut in two waits for its rest."""
        target = sys.stdout if stream == "stdout" else sys.stderr
        text, self._cut_escape[stream] = split_partial_escape(self._cut_escape[stream] + text)
        text = clean(text, colour=True)
        if text:
            self._run(lambda: target.write(text))

    def display(self, value: Value, title: str) -> None:
        data = bundle([value]) or {"text/plain": "null"}
        if title:
            data = {**data, "text/plain": f"{clean_clipped(title, MAX_TITLE_CHARS)}\n{data['text/plain']}"}
        self.publish(data, {}, "", False)

    def clear(self) -> None:
        self._run(lambda: self._shell.display_pub.clear_output(wait=True))

    def publish(self, data: Mapping[str, Any], metadata: Mapping[str, Any], display_id: str, update: bool) -> None:
        transient = {"display_id": display_id} if display_id else {}
        self._run(lambda: self._shell.display_pub.publish(dict(data), dict(metadata), transient=transient, update=update))

    def result(self, value: Any, data: Mapping[str, str]) -> None:
        """The cell's result, as Out[n] and `_`: the plain value for Python, the rich form for the page."""
        hook = self._shell.displayhook

        def show() -> None:
            hook.start_displayhook()
            hook.write_output_prompt()
            hook.write_format_data(dict(data), {})
            hook.update_user_ns(value)
            hook.finish_displayhook()

        self._run(show)

    def _run(self, function: Callable[[], T]) -> T:
        return self._context.copy().run(function)


class Publisher:
    """A live view's way to the page: the same cell, raw bundles."""

    def __init__(self, output: CellOutput) -> None:
        self._output = output

    def display(self, data: Mapping[str, Any], metadata: Mapping[str, Any], display_id: str, update: bool) -> None:
        self._output.publish(data, metadata, display_id, update)
