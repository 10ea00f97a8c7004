"""The day's use: a reservation is written at once where nobody else uses the ledger, and in the thread where it would have to wait."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from llmspell_kernel.errors import LimitError
from llmspell_kernel.journal.ledger import FILE, Ledger
from llmspell_kernel.policy.budgets import Amounts
from llmspell_kernel.session.day_use import DayUse

NOON = 1_700_000_000.0


@asynccontextmanager
async def day_use(folder: Path) -> AsyncIterator[DayUse]:
    """One that has been used already, so that its thread and the ledger are there."""
    used = DayUse(folder, lambda: NOON)
    await used.reserve(up_to(1_000))
    try:
        yield used
    finally:
        await used.close()


def up_to(cap: int) -> Callable[[Amounts], Amounts]:
    def decide(sums: Amounts) -> Amounts:
        if sums.requests >= cap:
            raise LimitError("no more", limit="requests", value=cap)
        return Amounts(requests=1)

    return decide


def requests(folder: Path) -> int:
    return Ledger(folder, Amounts._fields, lambda: NOON).today()[1][0]


async def turns(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def test_a_reservation_is_in_the_ledger_before_the_loop_turns_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with day_use(tmp_path) as used:
            reserving = used.reserve(up_to(10))
            with pytest.raises(StopIteration) as done:
                reserving.send(None)
            assert (done.value.value.amounts, requests(tmp_path)) == (Amounts(requests=1), 2)

    asyncio.run(run())


def test_while_another_process_uses_the_ledger_the_loop_goes_on_and_the_reservation_waits(tmp_path: Path) -> None:
    async def run() -> None:
        async with day_use(tmp_path) as used:
            with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                reserving = asyncio.create_task(used.reserve(up_to(10)))
                await turns(100)
                assert not reserving.done()
                other.execute("ROLLBACK")
            async with asyncio.timeout(10):
                assert (await reserving).amounts == Amounts(requests=1)

    asyncio.run(run())


def test_what_a_settlement_frees_is_there_for_the_next_reservation(tmp_path: Path) -> None:
    async def run() -> None:
        async with day_use(tmp_path) as used:
            for _ in range(50):
                reserved = await used.reserve(up_to(2))  # the one of the beginning is never given back
                used.settle(reserved.day, Amounts(requests=-1))
                await turns(1)
            assert (await used.others())[1] == Amounts()
            assert requests(tmp_path) == 1

    asyncio.run(run())


def test_two_sessions_that_reserve_in_turns_never_pass_the_cap_together(tmp_path: Path) -> None:
    async def run() -> None:
        async with day_use(tmp_path) as one, day_use(tmp_path) as other:

            async def take(used: DayUse) -> int:
                for taken in range(50):
                    try:
                        await used.reserve(up_to(40))
                    except LimitError:
                        return taken
                    await turns(taken % 3)
                return 50

            # the two of the beginning count
            assert sum(await asyncio.gather(*(take(used) for used in (one, other, one, other)))) == 38
        assert requests(tmp_path) == 40

    asyncio.run(run())


def test_a_refusal_writes_what_was_owed_and_nothing_else(tmp_path: Path) -> None:
    async def run() -> None:
        async with day_use(tmp_path) as used:
            used.settle("", Amounts(tokens=7))
            with pytest.raises(LimitError):
                await used.reserve(up_to(1))
            assert (await used.others())[1] == Amounts()
        assert Ledger(tmp_path, Amounts._fields, lambda: NOON).today()[1] == Amounts(requests=1, tokens=7)

    asyncio.run(run())
