"""The deadline of a cell counts no time in which the user is asked."""

from __future__ import annotations

import asyncio

from llmspell_kernel.session.total_time import TotalTime
from llmspell_kernel.testing.fake_clock import FakeClock


def begun(limit_s: float) -> tuple[FakeClock, TotalTime, list[float]]:
    """Its clock, itself, and the times at which it said that it is over."""
    clock, said = FakeClock(), list[float]()
    total = TotalTime(limit_s, clock)
    total.start(lambda: said.append(clock.time()))
    return clock, total, said


def test_it_is_over_once_its_own_time_is_over_and_not_before() -> None:
    clock, total, said = begun(5)
    with total.standing_still(), total.standing_still():
        clock.advance(100)
    clock.advance(4.75)
    assert said == []
    clock.advance(10)
    assert said == [105]


def test_the_time_before_a_question_is_not_given_back() -> None:
    clock, total, said = begun(5)
    clock.advance(3)
    with total.standing_still():
        clock.advance(100)
    clock.advance(10)
    assert said == [105]


def test_after_its_end_it_says_nothing_more_also_where_a_question_is_answered_late() -> None:
    clock, total, said = begun(1)
    with total.standing_still():
        total.end()
    clock.advance(100)
    assert said == [] and clock.alarms == 0


def test_without_a_clock_it_is_the_event_loops() -> None:
    async def play() -> None:
        over, total = asyncio.Event(), TotalTime(0.001)
        total.start(over.set)
        await asyncio.wait_for(over.wait(), 10)

    asyncio.run(play())
