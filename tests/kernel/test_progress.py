"""A progress bar changes in its place at a bounded rate, and its last state is always the one that stays."""

import logging

import pytest

from llmspell_kernel.kernel.display import Flusher
from llmspell_kernel.kernel.progress import ProgressBars
from llmspell_kernel.shown import Progress

from .test_display import FrontEnd, Loop, most_in_a_second


class Bench:
    def __init__(self, *, live: bool = True) -> None:
        self.loop = Loop()
        self.page = FrontEnd(self.loop)
        self.flusher = Flusher(self.loop)
        self.bars = ProgressBars(self.page, self.flusher if live else None)

    def texts(self, kind: str) -> list[str]:
        return [content["data"]["text/plain"] for _, found, content in self.page.messages if found == kind]


def test_a_bar_stands_where_it_was_made_and_is_replaced_there() -> None:
    bench = Bench()
    bench.bars.show(Progress(7, 0, 2, "L"))
    assert bench.texts("display") == ["◌ L 0/2 (0 %)"]
    bench.bars.show(Progress(7, 1, 2, "L"))
    bench.loop.advance(0.1)
    bench.bars.show(Progress(7, 2, 2, "L", ended=True))
    bench.loop.advance(0.1)
    assert bench.texts("update") == ["◌ L 1/2 (50 %)", "✓ L 2/2 (100 %)"]
    assert len({content["id"] for _, _, content in bench.page.messages}) == 1
    bench.bars.finish()
    assert len(bench.page.messages) == 3


def test_a_thousand_states_a_second_leave_at_most_thirty_times() -> None:
    bench = Bench()
    for done in range(5_000):
        bench.bars.show(Progress(1, done, 5_000))
        bench.loop.advance(0.001)
    bench.bars.finish()
    assert most_in_a_second([time for time, kind, _ in bench.page.messages if kind == "update"]) <= 30
    assert bench.texts("update")[-1] == "◌ 4999/5000 (99 %)"


def test_many_bars_share_the_rate() -> None:
    bench = Bench()
    for bar in range(10):
        bench.bars.show(Progress(bar, 0, 9))
    for done in range(1_000):
        for bar in range(10):
            bench.bars.show(Progress(bar, done, 9))
        bench.loop.advance(0.005)
    updates = [time for time, kind, _ in bench.page.messages if kind == "update"]
    assert len(updates) <= 5 * 30 and bench.loop.most_timers == 1


def test_the_end_of_the_cell_shows_the_last_state_at_once() -> None:
    bench = Bench()
    bench.bars.show(Progress(1, 0, 2))
    bench.bars.show(Progress(1, 1, 2))
    bench.bars.finish()
    assert bench.texts("update") == ["◌ 1/2 (50 %)"]


def test_static_mode_is_one_display_at_the_end_of_each_bar() -> None:
    bench = Bench(live=False)
    for done in range(3):
        bench.bars.show(Progress(1, done, 2, "ends"))
        bench.bars.show(Progress(2, done, 2, "stays open"))
    assert bench.page.messages == []
    bench.bars.show(Progress(1, 2, 2, "ends", ended=True))
    assert bench.texts("display") == ["✓ ends 2/2 (100 %)"]
    bench.bars.finish()
    assert bench.texts("display") == ["✓ ends 2/2 (100 %)", "✓ stays open 2/2 (100 %)"] and bench.texts("update") == []


def test_after_a_clear_a_bar_that_goes_on_is_a_new_output() -> None:
    bench = Bench()
    bench.bars.show(Progress(1, 0, 2))
    bench.bars.show(Progress(2, 2, 2))
    bench.bars.cleared()
    bench.bars.show(Progress(1, 1, 2))
    bench.bars.finish()
    assert bench.texts("display")[2:] == ["◌ 1/2 (50 %)"] and bench.texts("update") == []


@pytest.mark.parametrize("live", [True, False])
def test_a_bar_that_background_work_moves_on_after_its_cell_is_replaced_in_its_place(live: bool) -> None:
    bench = Bench(live=live)
    bench.bars.show(Progress(1, 0, 2))
    bench.bars.finish()
    bench.bars.show(Progress(1, 2, 2, ended=True))
    bench.loop.advance(1)
    assert bench.texts("display") == ["◌ 0/2 (0 %)"] and bench.texts("update") == ["✓ 2/2 (100 %)"]


def test_a_bar_counts_as_it_is_published() -> None:
    bench = Bench()
    assert bench.bars.show(Progress(1, 0, 2, "L")) == sum(len(text.encode()) for text in bench.page.last("display")["data"].values())
    assert bench.bars.show(Progress(1, 1, 2, "L")) == 0


def test_an_update_that_fails_reaches_no_other_view_and_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.bars.show(Progress(1, 0, 2))
    bench.bars.show(Progress(1, 1, 2))
    bench.page.fail = {"update"}
    with caplog.at_level(logging.WARNING):
        bench.loop.advance(0.1)
    assert "progress bar could not be shown" in caplog.text
    bench.page.fail = set()
    bench.bars.finish()
    assert bench.texts("update") == ["◌ 1/2 (50 %)"]
