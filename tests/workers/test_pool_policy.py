"""How many workers there are, who waits for one, when they end and when they take no more states."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.errors import LimitError, WorkerLost
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.testing.fake_clock import FakeClock
from llmspell_kernel.testing.fake_worker import FakePool, FakeWorker
from llmspell_kernel.workers.pool import PoolCount, WorkerPool
from llmspell_kernel.workers.worker import Worker

from .processes import REAL, exists, until


def counted(pool: WorkerPool) -> tuple[int, int, int]:
    given, spares, waiting, _ = pool.count()
    return given, spares, waiting


def test_there_are_never_more_processes_than_the_policy_says() -> None:
    async def play() -> None:
        pool = FakePool(policy=WorkerPolicy(max=3, spares=2, wait_s=30))
        takers = [asyncio.ensure_future(pool.take()) for _ in range(20)]
        done = 0
        while takers:
            await asyncio.wait(takers, return_when=asyncio.FIRST_COMPLETED)
            assert len(pool.pids) <= 3
            for taker in [taker for taker in takers if taker.done()]:
                takers.remove(taker)
                done += 1
                taker.result().close()
        assert done == 20

    asyncio.run(play())


@pytest.mark.parametrize("spares", [0, 1, 3])
def test_there_are_as_many_spares_as_the_policy_says(spares: int) -> None:
    async def play() -> None:
        pool = FakePool(policy=WorkerPolicy(spares=spares))
        pool.warm()
        assert counted(pool) == (0, spares, 0)
        await pool.take()
        assert counted(pool) == (1, spares, 0)

    asyncio.run(play())


def test_who_finds_no_worker_waits_in_order_and_is_told_so() -> None:
    async def play() -> None:
        pool, told, order = FakePool(policy=WorkerPolicy(max=1, wait_s=30)), [], []

        async def taker(name: str) -> Worker:
            worker = await pool.take(tell=lambda text: told.append((name, text)))
            order.append(name)
            return worker

        first = await taker("a")
        later = [asyncio.ensure_future(taker(name)) for name in "bcd"]
        await until(lambda: pool.count().waiting == 3)
        assert told == [(name, "waits for a worker: all 1 are in use") for name in "bcd"]
        first.close()
        for task in later:
            (await task).close()
        assert order == ["a", "b", "c", "d"]

    asyncio.run(play())


def test_who_waits_too_long_gets_a_limit_error_that_says_what_to_do_and_the_place_goes_to_the_next() -> None:
    async def play() -> None:
        pool = FakePool(policy=WorkerPolicy(max=1, wait_s=0.05))
        first = await pool.take()
        with pytest.raises(
            LimitError, match=r"all 1 workers are in use, and none became free within 0.05 s; .*reset.*workers.max"
        ) as caught:
            await pool.take()
        assert (caught.value.limit, caught.value.value, caught.value.used) == ("workers.max", 1, 2)
        assert pool.count().waiting == 0
        first.close()
        assert (await pool.take()).alive

    asyncio.run(play())


def test_who_goes_away_while_waiting_takes_no_place_along() -> None:
    async def play() -> None:
        pool = FakePool(policy=WorkerPolicy(max=1, wait_s=30))
        first = await pool.take()
        gone, kept = (asyncio.ensure_future(pool.take()) for _ in range(2))
        await until(lambda: pool.count().waiting == 2)
        gone.cancel()
        first.close()
        worker = await kept
        last = asyncio.ensure_future(pool.take())
        await until(lambda: pool.count().waiting == 1)
        worker.close()  # grants the place, and the taker goes before it sees that
        last.cancel()
        with pytest.raises(asyncio.CancelledError):
            await last
        assert (await pool.take()).alive

    asyncio.run(play())


def test_who_waits_when_the_pool_closes_is_told_that_there_will_be_none() -> None:
    async def play() -> None:
        pool = FakePool(policy=WorkerPolicy(max=1, wait_s=30))
        await pool.take()
        waiting = [asyncio.ensure_future(pool.take()) for _ in range(2)]
        await until(lambda: pool.count().waiting == 2)
        pool.close()
        for task in waiting:
            with pytest.raises(WorkerLost, match="closed"):
                await task
        assert pool.pids == [] and len(pool.workers) == 1

    asyncio.run(play())


def test_a_raised_limit_lets_those_in_who_wait() -> None:
    async def play() -> None:
        pool = FakePool(policy=WorkerPolicy(max=1, wait_s=30))
        await pool.take()
        waiting = asyncio.ensure_future(pool.take())
        await until(lambda: pool.count().waiting == 1)
        pool.configure(WorkerPolicy(max=2), 1)
        assert (await waiting).alive

    asyncio.run(play())


def test_a_lowered_limit_ends_spares_and_no_worker_that_holds_a_state() -> None:
    async def play() -> None:
        pool = FakePool(policy=WorkerPolicy(max=8, spares=3))
        workers = [await pool.take() for _ in range(2)]
        pool.configure(WorkerPolicy(max=2, spares=3), 1)
        assert counted(pool) == (2, 0, 0) and all(worker.alive for worker in workers)

    asyncio.run(play())


@pytest.mark.parametrize(("least", "left"), [(0, 0), (1, 0), (3, 2), (9, 4)])
def test_spares_end_after_the_idle_time_but_for_the_least_and_come_back_with_the_next_use(least: int, left: int) -> None:
    async def play() -> None:
        clock = FakeClock()
        policy = WorkerPolicy(min=least, spares=4, idle_s=600)
        pool = FakePool(policy=policy, clock=clock)
        held = await pool.take()
        before = counted(pool)
        clock.advance(599)
        pool.use()
        clock.advance(599)
        assert counted(pool) == before, "a use counts the time anew"
        clock.advance(1)
        assert counted(pool) == (1, min(before[1], max(left, least - 1)), 0)
        assert held.alive, "a state is never ended for being idle"
        assert clock.alarms == 0, "nothing wakes an idle process"
        pool.use()
        assert counted(pool) == before

    asyncio.run(play())


def shared(**changes: float) -> WorkerPolicy:
    return WorkerPolicy(spares=0, states_per_worker=2)._replace(**changes)


def test_a_shared_worker_without_states_ends_after_the_idle_time() -> None:
    async def play() -> None:
        clock = FakeClock()
        pool = FakePool(policy=shared(idle_s=60), clock=clock)
        worker = await pool.take()
        pool.give_back(worker, 1)
        assert worker.alive and counted(pool) == (1, 0, 0)
        clock.advance(60)
        assert not worker.alive and counted(pool) == (0, 0, 0)

    asyncio.run(play())


@pytest.mark.parametrize("met_limit", [False, True])
def test_a_shared_worker_that_is_worn_takes_no_new_state_and_ends_with_its_last(met_limit: bool) -> None:
    async def play() -> None:
        pool = FakePool(policy=shared(recycle_cells=3))
        worker = await pool.take()
        for _ in range(1 if met_limit else 3):
            assert pool.count().drained == 0
            pool.ran(worker, met_limit=met_limit)
        pool.ran(worker, met_limit=met_limit)
        assert pool.count() == PoolCount(1, 0, 0, 1)
        other = await pool.take()
        assert other is not worker and worker.alive, "its state goes on"
        pool.give_back(worker, 1)
        assert not worker.alive and other.alive

    asyncio.run(play())


def test_a_limit_recycles_no_worker_where_the_policy_says_so() -> None:
    async def play() -> None:
        pool = FakePool(policy=shared()._replace(recycle_after_limit=False))
        pool.ran(await pool.take(), met_limit=True)
        assert pool.count().drained == 0

    asyncio.run(play())


def test_a_worker_that_holds_one_state_is_never_recycled_under_it() -> None:
    async def play() -> None:
        pool = FakePool(policy=WorkerPolicy(spares=0, recycle_cells=1, recycle_growth_bytes=1))
        worker = await pool.take()
        for _ in range(10):
            pool.ran(worker, met_limit=True)
        assert worker.alive and pool.count().drained == 0
        pool.give_back(worker, 1)
        assert not worker.alive, "and no other state ever gets it"

    asyncio.run(play())


GROW = {"lua": "kept = string.rep('a', 40000000)", "javascript": "var kept = new Uint8Array(4e7).fill(7)"}


@pytest.mark.parametrize("engine", sorted(GROW))
def test_a_real_worker_that_grew_takes_no_new_state(engine: str) -> None:
    async def play() -> None:
        pool = WorkerPool(REAL, policy=shared(recycle_growth_bytes=30_000_000), startup_s=10)
        try:
            worker = await pool.take()
            await worker.open(1, engine, b"{}", b'{"state":1}')
            pool.ran(worker, met_limit=False)
            assert pool.count().drained == 0
            await worker.begin(1, GROW[engine], "cell[1]")
            pool.ran(worker, met_limit=False)
            assert pool.count().drained == 1
            assert (await pool.take()).pid != worker.pid
        finally:
            pool.close()

    asyncio.run(play())


def test_takers_of_a_shared_worker_that_starts_wait_for_it() -> None:
    async def play() -> None:
        pool = FakePool(policy=shared(max=2))
        workers = await asyncio.gather(*(pool.take() for _ in range(4)))
        assert len({worker.pid for worker in workers}) == len(pool.workers) == 2

    asyncio.run(play())


def test_room_in_a_shared_worker_goes_to_who_waits() -> None:
    async def play() -> None:
        pool = FakePool(policy=shared(max=1, wait_s=30))
        worker = await pool.take()
        await pool.take()
        waiting = asyncio.ensure_future(pool.take())
        await until(lambda: pool.count().waiting == 1)
        pool.give_back(worker, 1)
        assert await waiting is worker

    asyncio.run(play())


def test_a_pool_that_closes_while_a_worker_starts_leaves_no_process() -> None:
    async def play() -> list[int]:
        pool = WorkerPool(REAL, policy=WorkerPolicy(), startup_s=10)
        taking = [asyncio.ensure_future(pool.take()) for _ in range(3)]
        await until(lambda: len(pool.pids) == 3)
        pids = pool.pids
        pool.close()
        for task in taking:
            with pytest.raises(WorkerLost):
                await task
        assert pool.pids == []
        return pids

    assert [pid for pid in asyncio.run(play()) if exists(pid)] == []


def test_a_worker_that_does_not_start_gives_its_place_back() -> None:
    async def play() -> None:
        pool = FakePool([FakeWorker(missing="no"), FakeWorker(missing="no")], policy=WorkerPolicy(max=1, spares=0, wait_s=30))
        for _ in range(2):
            with pytest.raises(WorkerLost, match="no"):
                await pool.take()
        assert (await pool.take()).alive

    asyncio.run(play())
