"""A thousand scripts at the same time all finish, each with its own answer, in a bounded host."""

from __future__ import annotations

import asyncio
import gc
import os

import psutil  # type: ignore[import-untyped]
import pytest

from llmspell_kernel.policy.limits import MiB
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.session import Session
from llmspell_kernel.testing.chaos import open_calls, open_cells
from llmspell_kernel.workers.pool import WorkerPool

from ..session.world import ENGINES, LIMITS, Probe, world

SCRIPTS = 1_000
WORKERS = 4
WAIT = {
    "lua": "local n = {number} probe.wait(0.05) return probe.echo(n)",
    "javascript": "const n = {number}; await probe.wait(0.05); await probe.echo(n)",
}
CONCURRENT = {
    "lua": """
        local work = {} for i = 1, 1000 do work[i] = function() probe.wait(0.05) return i end end
        local sum = 0 for _, n in ipairs(async.all(work)) do sum = sum + n end return sum""",
    "javascript": """
        const work = []; for (let i = 1; i <= 1000; i++) work.push(probe.wait(0.05).then(() => i));
        (await Promise.all(work)).reduce((a, b) => a + b)""",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_thousand_scripts_each_in_its_own_state(engine: str) -> None:
    async def play() -> None:
        pool = WorkerPool(startup_s=30, policy=WorkerPolicy(states_per_worker=SCRIPTS // WORKERS))
        limits = LIMITS._replace(script_time_s=60, memory_bytes=8 * MiB)
        async with Session(bridges=[Probe()], limits=limits, pool=pool) as session, asyncio.timeout(100):
            before = len(os.listdir("/proc/self/fd"))
            runs = [session.run(WAIT[engine].format(number=n), engine=engine, state=f"s{n}") for n in range(SCRIPTS)]
            outcomes = await asyncio.gather(*runs)
            assert [outcome.value for outcome in outcomes] == list(range(SCRIPTS))
            assert len(session.worker_pids) <= WORKERS + 1
            assert len(os.listdir("/proc/self/fd")) - before <= 8 * (WORKERS + 1)
            assert open_calls(session.recorder) == open_cells(session.recorder) == []

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_thousand_calls_of_one_script(engine: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(effects=2_000, calls_in_flight=2_000, tasks=5_000)) as made, asyncio.timeout(30):
            outcome = await made.session.run(CONCURRENT[engine], engine=engine)
            assert outcome.value == 500_500, outcome
            assert open_calls(made.session.recorder) == []

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_five_hundred_cells_one_after_the_other_leave_nothing_behind(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            for number in range(50):
                await made.session.run(WAIT[engine].format(number=number).replace("0.05", "0"), engine=engine)
            gc.collect()
            process = psutil.Process()
            memory, files = process.memory_info().rss, process.num_fds()
            for number in range(500):
                outcome = await made.session.run(WAIT[engine].format(number=number).replace("0.05", "0"), engine=engine)
                assert outcome.value == number
            gc.collect()
            assert process.num_fds() == files
            assert process.memory_info().rss - memory < 20 * MiB

    asyncio.run(play())
