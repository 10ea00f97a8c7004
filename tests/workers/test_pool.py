"""The pool: a spare that is warm, replaced when it is taken or dies, and nothing left at the end."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from llmspell_kernel.engines._declaration import EngineDeclaration
from llmspell_kernel.errors import WorkerLost
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.testing.fake_worker import FakePool, FakeWorker
from llmspell_kernel.workers.pool import WorkerPool
from llmspell_kernel.workers.worker import Worker

from .processes import ACTING, Watch, exists, pool_of


def test_the_warm_spare_is_taken_and_replaced() -> None:
    async def play() -> None:
        async with pool_of(ACTING) as pool:
            pool.warm()
            (spare,) = pool.pids
            pool.warm()
            assert pool.pids == [spare]
            worker = await pool.take()
            assert worker.pid == spare
            assert len(pool.pids) == 2
            assert (await pool.take(keep_spare=False)).pid in pool.pids
            assert len(pool.pids) == 2

    asyncio.run(play())


def test_a_spare_can_be_started_before_an_event_loop_runs() -> None:
    pool = WorkerPool(ACTING, policy=WorkerPolicy(), startup_s=10)
    try:
        pool.warm()
        (spare,) = pool.pids
        assert asyncio.run(pool.take(keep_spare=False)).pid == spare
    finally:
        pool.close()


def test_a_spare_that_died_is_replaced() -> None:
    async def play() -> None:
        async with pool_of(ACTING) as pool:
            pool.warm()
            (spare,) = pool.pids
            watch = Watch(spare)
            os.kill(spare, signal.SIGKILL)
            assert watch.ended_within(5)
            watch.close()
            worker = await pool.take(keep_spare=False)
            assert worker.pid != spare
            assert worker.alive
            assert not exists(spare)

    asyncio.run(play())


def test_a_second_failure_to_start_is_raised() -> None:
    async def play() -> None:
        fakes = [FakeWorker(missing="first"), FakeWorker(missing="second"), FakeWorker()]
        pool = FakePool(fakes)
        pool.warm()
        with pytest.raises(WorkerLost, match="second"):
            await pool.take()
        assert pool.workers == fakes[:2]

    asyncio.run(play())


def test_closing_the_pool_leaves_no_process() -> None:
    async def play() -> list[int]:
        async with pool_of(ACTING) as pool:
            taken = [await pool.take() for _ in range(3)]
            await taken[0].open(1, "acting", b"{}", b'{"state":1}')
            asked = asyncio.ensure_future(taken[0].begin(1, "hang", "cell[1]"))
            await asyncio.sleep(0)
            pids = pool.pids
            assert len(pids) == 4
            pool.close()
            pool.close()
            with pytest.raises(WorkerLost, match="closed"):
                await asked
            assert pool.pids == []
            return pids

    assert [pid for pid in asyncio.run(play()) if exists(pid)] == []


def test_a_worker_whose_taker_went_away_is_closed() -> None:
    async def play() -> None:
        async with pool_of([EngineDeclaration("silent", "Silent", "silent_engine")]) as pool:
            taking = asyncio.ensure_future(pool.take())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            (pid,) = pool.pids
            taking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await taking
            assert not exists(pid)

    asyncio.run(play())


def test_a_closed_pool_starts_nothing() -> None:
    async def play() -> None:
        pool = FakePool([FakeWorker()])
        pool.close()
        pool.warm()
        with pytest.raises(WorkerLost, match="closed"):
            await pool.take()
        assert pool.workers == []

    asyncio.run(play())


def test_kill_ends_every_process_without_an_event_loop() -> None:
    pool = WorkerPool(ACTING, policy=WorkerPolicy(), startup_s=10)
    pool.warm()
    (spare,) = pool.pids
    watch = Watch(spare)
    pool.kill()
    assert watch.ended_within(5)
    watch.close()
    pool.close()
    assert not exists(spare)


class SparelessPool(FakePool):
    """Starts one worker, then no other."""

    def _start(self) -> Worker:
        if self.workers:
            raise WorkerLost("no worker process could be started", reason="not started")
        return super()._start()


def test_a_spare_that_cannot_start_does_not_cost_the_worker_that_did() -> None:
    async def play() -> None:
        told: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["message"]))
        pool = SparelessPool([FakeWorker()])
        assert (await pool.take()).alive
        assert told == ["no spare worker: no worker process could be started"]

    asyncio.run(play())
