"""A progress line is redrawn in its place, not too often and never wider than the terminal."""

import io

import pytest

from llmspell_kernel.cli._progress_line import INTERVAL_S, ProgressLine
from llmspell_kernel.render.text import width
from llmspell_kernel.shown import Progress

from .test_terminal import Screen


class Line:
    def __init__(self, stream: io.StringIO) -> None:
        self.now = 100.0
        self.put: list[str] = []
        self.line = ProgressLine(stream, self.put.append, lambda: self.now)

    def drawn(self) -> list[str]:
        return [text for text in self.put if text != "\r\x1b[K"]


def test_a_thousand_states_a_second_are_drawn_at_most_thirty_times() -> None:
    line = Line(Screen())
    for done in range(1_000):
        line.line.show(Progress(1, done, 1_000), can_draw=True)
        line.now += 0.001
    assert 20 <= len(line.drawn()) <= 1 / INTERVAL_S + 1


def test_the_end_is_always_drawn() -> None:
    line = Line(Screen())
    line.line.show(Progress(1, 1, 2), can_draw=True)
    line.line.show(Progress(1, 2, 2, ended=True), can_draw=True)
    assert line.drawn()[-1].endswith("2/2 (100 %)\n") and not line.line.is_open


def test_of_several_bars_the_one_that_moved_last_is_drawn_and_each_end_stays() -> None:
    line = Line(Screen())
    for progress in (Progress(1, 1, 2, "a"), Progress(2, 1, 2, "b"), Progress(2, 2, 2, "b", ended=True)):
        line.now += 1
        line.line.show(progress, can_draw=True)
    assert [text.split()[1] for text in line.drawn()] == ["a", "b", "b", "a"]
    assert line.drawn()[2].endswith("\n") and not line.drawn()[3].endswith("\n")


def test_a_bar_is_never_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    line = Line(Screen())
    line.line.show(Progress(1, 1, 2, "日本" * 100, "x" * 100), can_draw=True)
    assert width(line.drawn()[0]) <= 29


def test_nothing_is_drawn_in_a_pipe() -> None:
    line = Line(io.StringIO())
    line.line.show(Progress(1, 1, 2), can_draw=True)
    line.line.draw()
    line.line.erase()
    assert line.put == []
