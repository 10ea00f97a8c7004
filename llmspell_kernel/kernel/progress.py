"""A cell's progress bars: each a display that is replaced while its work goes on, and stays when it ends.

Rules
- The first state is published at once, so that a bar stands where it was made; later ones by the timer that all live views share.
- In static mode a bar is published once, when it ends or its cell does: notebook tests ignore updates.
- What a cell left in the background goes on in the cell's own output.
- Whatever fails on the way to the page, the cell's last state of a bar is tried once more when the cell ends.
"""

from __future__ import annotations

import logging
from uuid import uuid4

from ..render.shown import shown_bundle
from ..shown import Progress
from .display import Flusher, Publish

log = logging.getLogger(__name__)


class _Bar:
    """One bar and what was not published of it yet."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._id = f"llmspell-{uuid4().hex}"
        self._is_there = False
        self.state: Progress | None = None
        """None = the newest state is published."""

    def flush(self) -> None:
        """Called by the shared timer, which a failure must not reach: the others on it have nothing to do with this bar."""
        try:
            self.send()
        except Exception:
            log.warning("a progress bar could not be shown; it is tried again", exc_info=True)

    def send(self) -> int:
        """Publishes the newest state; how many bytes that took."""
        if self.state is None:
            return 0
        data = shown_bundle(self.state)
        self._publish.display(data, {}, self._id, update=self._is_there)
        self.state, self._is_there = None, True
        return sum(len(text.encode()) for text in data.values())

    def forget_display(self) -> None:
        """The page was cleared: the next state must be a new output, because an update would find nothing to replace."""
        self._is_there = False


class ProgressBars:
    """All bars of one cell, by number.  `finish` is called when the cell ends, however it does."""

    def __init__(self, publish: Publish, flusher: Flusher | None) -> None:
        self._publish = publish
        self._flusher = flusher
        self._bars: dict[int, _Bar] = {}

    def show(self, progress: Progress) -> int:
        is_new = progress.bar not in self._bars
        bar = self._bars.setdefault(progress.bar, _Bar(self._publish))
        bar.state = progress
        if is_new if self._flusher is not None else progress.ended:
            return bar.send()
        if self._flusher is not None:
            self._flusher.mark(bar)
        return 0

    def cleared(self) -> None:
        for bar in self._bars.values():
            bar.forget_display()

    def finish(self) -> None:
        """The newest state of each bar is published now."""
        for bar in self._bars.values():
            if self._flusher is not None:
                self._flusher.forget(bar)
            bar.flush()
