"""The deadline of a cell counts no time in which the user is asked."""

from __future__ import annotations

import asyncio

from llmspell_kernel.session.total_time import TotalTime


def test_it_is_over_once_its_own_time_is_over_and_not_before() -> None:
    async def play() -> None:
        over, total = asyncio.Event(), TotalTime(0.05)
        total.start(over.set)
        with total.standing_still(), total.standing_still():
            await asyncio.sleep(0.1)
            assert not over.is_set()
        await asyncio.wait_for(over.wait(), 10)

    asyncio.run(play())


def test_the_time_before_a_question_is_not_given_back() -> None:
    async def play() -> float:
        over, total, loop = asyncio.Event(), TotalTime(0.2), asyncio.get_running_loop()
        total.start(over.set)
        await asyncio.sleep(0.1)
        with total.standing_still():
            pass
        before = loop.time()
        await asyncio.wait_for(over.wait(), 10)
        return loop.time() - before

    assert asyncio.run(play()) < 0.15


def test_after_its_end_it_says_nothing_more_also_where_a_question_is_answered_late() -> None:
    async def play() -> None:
        said: list[int] = []
        total = TotalTime(0.01)
        total.start(lambda: said.append(1))
        with total.standing_still():
            total.end()
        await asyncio.sleep(0.05)
        assert said == []

    asyncio.run(play())
