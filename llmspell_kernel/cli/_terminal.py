"""Where a script's output goes outside Jupyter: the session's sink on a pair of text streams.

Rule: what a script or a model wrote reaches a terminal without control sequences other than colours: they could move the cursor over
earlier lines, set the window's title or type into the shell.  A pipe or a file gets the text as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from ..render.text import clean, split_partial_escape
from ..shown import Progress, Shown
from ._progress_line import ProgressLine


class Terminal:
    """`out` and `err` are stdout and stderr; with `model_to_err` streamed model text goes to stderr, so that stdout stays the script's."""

    def __init__(self, out: TextIO, err: TextIO, *, model_to_err: bool) -> None:
        self._streams = {"stdout": out, "stderr": err}
        self._open_line = {"stdout": False, "stderr": False}
        self._cut_escape = {"stdout": "", "stderr": ""}
        self._model_stream = "stderr" if model_to_err else "stdout"
        self.last_model_text: str | None = None
        """The model text that ends what stdout shows, None when something else came after it."""
        self.reader_gone = False
        """Whoever read our output has stopped, as `| head` does; what is written from then on is lost."""
        self.on_reader_gone: Callable[[], None] = lambda: None
        self._held: list[tuple[str, str]] | None = None
        """While the user is asked: what waits to be written."""
        self._progress = ProgressLine(err, self._send_progress)

    def write(self, stream: str, text: str) -> None:
        """Shows text of the script or a model at once; an escape sequence cut by the end of the text waits for its rest."""
        target = self._streams[stream]
        if target.isatty():
            text, self._cut_escape[stream] = split_partial_escape(self._cut_escape[stream] + text)
            text = clean(text, colour=True)
        self._put(stream, text)
        if text and stream == "stdout":
            self.last_model_text = None

    def show(self, shown: Shown, null: str) -> int:
        """A shown thing as text on stdout; a progress bar on stderr, where it can be watched while stdout goes elsewhere."""
        if isinstance(shown, Progress):
            if shown.ended:
                self._end_screen_lines()
            self._progress.show(shown, can_draw=self._cursor_is_at_start())
            return 0
        from ..render.shown import shown_bundle

        self.end_line("stdout")
        text = shown_bundle(shown, null)["text/plain"] + "\n"
        self.write("stdout", text)
        return len(text.encode("utf-8", "replace"))

    def finish(self) -> None:
        """The end of the script: no line of stdout stays open, and no progress bar."""
        self.end_line("stdout")
        if self._progress.is_open:
            self._end_screen_lines()
            self._progress.finish()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Around a question to the user: nothing is written meanwhile, so that no text of a script can pass for the question or hide it."""
        self._end_screen_lines()
        if self._progress.is_open:
            self._progress.erase()
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            for stream, text in held:
                self._put(stream, text)

    def clear(self) -> None:
        """Clears the screen where there is one; a pipe keeps everything."""
        if self._streams["stdout"].isatty() and self._held is None:
            click.clear()
            self._open_line = dict.fromkeys(self._open_line, False)

    def model_text(self, text: str) -> None:
        self.write(self._model_stream, text)

    def end_model_text(self, whole: str) -> None:
        self.end_line(self._model_stream)
        if self._model_stream == "stdout":
            self.last_model_text = whole

    def end_line(self, stream: str) -> None:
        if self._open_line[stream]:
            self._put(stream, "\n")

    def note(self, text: str) -> None:
        """A line of ours on stderr, in colour where stderr is a terminal."""
        target = self._streams["stderr"]
        if target.isatty():
            self._end_screen_lines()
        else:
            self.end_line("stderr")
        self._put("stderr", f"{click.style(clean(text), dim=True) if target.isatty() else text}\n")

    def error(self, lines: list[str]) -> None:
        """A rendered error; its lines carry their colours already."""
        self.end_line("stderr")
        self._put("stderr", "".join(f"{line}\n" for line in lines))

    def _screen(self) -> list[str]:
        """The streams whose text stands where the progress line is drawn."""
        return ["stderr", "stdout"] if self._streams["stdout"].isatty() else ["stderr"]

    def _cursor_is_at_start(self) -> bool:
        return not any(self._open_line[stream] for stream in self._screen())

    def _end_screen_lines(self) -> None:
        for stream in self._screen():
            self.end_line(stream)

    def _put(self, stream: str, text: str) -> None:
        if not text:
            return
        if self._held is not None:
            return self._held.append((stream, text))
        on_screen = self._progress.is_open and stream in self._screen()
        if on_screen:
            self._progress.erase()
        self._send(stream, text)
        self._open_line[stream] = not text.endswith("\n")
        if on_screen and self._cursor_is_at_start():
            self._progress.draw()

    def _send_progress(self, text: str) -> None:
        """The states of a bar take each other's place, so one that comes while the user is asked is left out."""
        if self._held is None:
            self._send("stderr", text)

    def _send(self, stream: str, text: str) -> None:
        target = self._streams[stream]
        try:
            target.write(text)
            target.flush()
        except BrokenPipeError:
            self._lose_reader(target)
        except OSError as error:  # a full disk behind a redirection, say
            self._lose_reader(target)
            if stream != "stderr":
                self._put("stderr", f"cannot write to {stream}: {error.strerror or error}\n")

    def _lose_reader(self, target: TextIO) -> None:
        # The stream's buffer still holds the text; with the pipe left in place, the flush at exit would fail again, loudly.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, target.fileno())
        os.close(nowhere)
        self.reader_gone = True
        self.on_reader_gone()
