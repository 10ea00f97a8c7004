"""Progress bars in a terminal: one line at its bottom, redrawn in place; in a pipe or file one plain line for each bar, when it ends."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO

from ..render.progress import progress_plain
from ..render.text import width
from ..shown import Progress

INTERVAL_S = 1 / 30
"""Between two drawings."""
_ERASE = "\r\x1b[K"


class ProgressLine:
    """`put` writes to the stream, past whatever is drawn there.  Of several open bars the one that moved last is drawn."""

    def __init__(self, stream: TextIO, put: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._is_terminal = stream.isatty()
        self._put = put
        self._clock = clock
        self._open: dict[int, Progress] = {}
        self._is_drawn = False
        self._next_s = 0.0

    @property
    def is_open(self) -> bool:
        return bool(self._open)

    def show(self, progress: Progress, *, can_draw: bool) -> None:
        """Takes in a new state; it can be drawn where the cursor stands at the start of a line, as it must when the bar has ended."""
        self._open.pop(progress.bar, None)
        if progress.ended:
            return self._keep(progress)
        self._open[progress.bar] = progress
        if can_draw and self._is_terminal and self._clock() >= self._next_s:
            self._next_s = self._clock() + INTERVAL_S
            self.draw()

    def draw(self) -> None:
        """Draws the bar that moved last, again after other text was written."""
        if not (self._is_terminal and self._open):
            return
        columns = shutil.get_terminal_size().columns - 1
        line = progress_plain(self._open[next(reversed(self._open))], with_bar=True)
        while width(line) > columns:
            line = line[:-1]
        self.erase()
        self._put(line)
        self._is_drawn = True

    def erase(self) -> None:
        """Takes the drawn bar away, before other text is written."""
        if self._is_drawn:
            self._is_drawn = False
            self._put(_ERASE)

    def finish(self) -> None:
        """What is still open stays as a line of its own."""
        left, self._open = list(self._open.values()), {}
        for progress in left:
            self._keep(progress)

    def _keep(self, progress: Progress) -> None:
        self.erase()
        self._put(f"{progress_plain(progress, with_bar=self._is_terminal)}\n")
        self.draw()
