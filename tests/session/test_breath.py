"""Calls that come all at once let the event loop turn, and go on in the order of coming."""

from __future__ import annotations

import asyncio
import time

import pytest

from llmspell_kernel.session.breath import AT_A_TIME, TURN_S, Breath
from llmspell_kernel.session.large_values import LARGE_BYTES, by_size


def test_no_more_work_is_done_in_a_turn_than_its_time_allows_and_all_of_it_in_order() -> None:
    done: list[int] = []
    turns: list[int] = []

    async def work(number: int, breath: Breath) -> None:
        await breath.taken()
        until_s = time.monotonic() + TURN_S / 2
        while time.monotonic() < until_s:
            pass
        done.append(number)

    async def play() -> None:
        breath = Breath()
        tasks = [asyncio.create_task(work(number, breath)) for number in range(20)]
        while len(done) < len(tasks):
            turns.append(len(done))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(play())
    assert done == list(range(20))
    assert max(after - before for before, after in zip(turns, turns[1:], strict=False)) <= 2 + AT_A_TIME


def test_one_that_is_given_up_while_it_waits_keeps_no_other_from_its_turn() -> None:
    async def play() -> None:
        breath = Breath()
        await breath.taken()
        until_s = time.monotonic() + TURN_S
        while time.monotonic() < until_s:
            pass
        first, second = [asyncio.create_task(breath.taken()) for _ in range(2)]
        asyncio.get_running_loop().call_soon(first.cancel)
        async with asyncio.timeout(10):
            await second

    asyncio.run(play())


@pytest.mark.parametrize("size_bytes", [1, LARGE_BYTES + 1])
def test_what_is_raised_for_a_value_of_any_size_reaches_who_waits(size_bytes: int) -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(by_size(size_bytes, lambda: 1 / 0))


def test_a_strangers_end_of_iteration_in_the_thread_is_an_error_and_keeps_nobody_waiting() -> None:
    async def play() -> None:
        async with asyncio.timeout(10):
            await by_size(LARGE_BYTES + 1, next, iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(play())
