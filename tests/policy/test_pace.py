"""The token bucket of effects, by a clock of the test's own."""

from __future__ import annotations

from llmspell_kernel.policy.pace import BURST_S, Pace


def test_who_comes_slower_than_the_rate_never_waits() -> None:
    pace = Pace()
    assert [pace.wait_s(10, now / 10) for now in range(100)] == [0] * 100


def test_as_many_as_the_rate_may_come_at_once_and_the_next_wait_in_order() -> None:
    pace = Pace()
    waits = [pace.wait_s(10, 5.0) for _ in range(13)]
    assert waits[:10] == [0] * 10
    assert [round(wait, 6) for wait in waits[10:]] == [0.1, 0.2, 0.3]


def test_what_is_over_is_over_however_long_nobody_came() -> None:
    pace = Pace()
    for _ in range(20):
        pace.wait_s(8, 0.0)
    assert [pace.wait_s(8, 1_000.0) for _ in range(9)].count(0) == 8


def test_in_the_long_run_nobody_is_faster_than_the_rate() -> None:
    pace, now, done = Pace(), 0.0, 0
    while now < 20:
        now += pace.wait_s(7, now)
        done += 1
    assert done <= 7 * (20 + BURST_S) + 1


def test_a_rate_that_changes_holds_from_then_on() -> None:
    pace = Pace()
    assert pace.wait_s(1, 0.0) == 0
    assert pace.wait_s(1, 0.0) == 1
    assert pace.wait_s(1_000, 3.0) == 0
