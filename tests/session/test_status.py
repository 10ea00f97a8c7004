"""What states and workers use, told as plain data and against their limits."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from llmspell_kernel.policy.limits import MiB
from llmspell_kernel.settings import Settings

from .world import ENGINES, LIMITS, Probe, world

WORK = {
    "lua": 'print("out") probe.echo(1) probe.echo(2) kept = string.rep("a", 30000000)',
    "javascript": 'console.log("out"); await probe.echo(1); await probe.echo(2); var kept = new Uint8Array(3e7).fill(7)',
}
BUSY = {
    "lua": "local x = 0 for i = 1, 30000000 do x = x + i end",
    "javascript": "let x = 0; for (let i = 0; i < 3e6; i++) x += i; x",
}
HANG = {"lua": "probe.hang()", "javascript": "await probe.hang()"}


@pytest.mark.parametrize("engine", ENGINES)
def test_each_figure_is_measured_and_stands_against_its_limit(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            await made.session.run("", engine=engine)
            (before,) = made.session.status().states
            await made.session.run(WORK[engine], engine=engine)
            await made.session.run(BUSY[engine], engine=engine)
            (after,) = made.session.status().states
            assert (after.state, after.engine, after.phase, after.pid) == ("main", engine, "idle", before.pid)
            assert after.memory_bytes is not None and before.memory_bytes is not None
            assert after.memory_bytes - before.memory_bytes > 25 * MiB
            assert after.cpu_s is not None and after.cpu_s > (before.cpu_s or 0)
            assert 0 < after.script_time_s < after.script_time_limit == LIMITS.script_time_s
            assert (after.cells, after.recycles) == (3, 0)
            assert 0 < after.instructions <= after.instructions_limit == LIMITS.instructions
            assert (after.effects_limit, after.output_limit, after.memory_limit) == (
                LIMITS.effects,
                LIMITS.output_bytes,
                LIMITS.memory_bytes,
            )
            assert after.age_s >= before.age_s
            assert set(after.layers) == {"privileges", "landlock", "seccomp"}

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_effects_and_output_are_the_last_cells_and_those_of_the_one_that_runs(engine: str) -> None:
    async def play() -> None:
        probe = Probe()
        async with world(probe=probe) as made:
            await made.session.run(WORK[engine], engine=engine)
            (state,) = made.session.status().states
            assert (state.effects, state.output_bytes) == (2, 4)
            running = asyncio.ensure_future(made.session.run(HANG[engine], engine=engine))
            await probe.waiting.wait()
            (state,) = made.session.status().states
            assert (state.phase, state.effects, state.output_bytes) == ("waiting", 1, 0)
            made.session.interrupt()
            await running

    asyncio.run(play())


def test_a_lost_state_is_told_as_such_and_counts_its_recycles() -> None:
    async def play() -> None:
        async with world() as made:
            await made.session.run("x = 1")
            worker = made.session.states["main", "lua"].worker
            assert worker is not None
            worker.lose("on purpose")
            (state,) = made.session.status().states
            assert (state.pid, state.memory_bytes, state.cpu_s, state.recycles) == (None, None, None, 0)
            await made.session.run("x = 1")
            (state,) = made.session.status().states
            assert state.pid is not None and state.recycles == 1

    asyncio.run(play())


def test_the_pool_is_told_of_with_all_its_memory() -> None:
    async def play() -> None:
        async with world(settings=Settings(workers={"spares": 2, "max": 5})) as made:
            assert made.session.status().pool == (0, 0, 5, 0, 0, 0)
            for name in "ab":
                await made.session.run("", state=name)
            pool = made.session.status().pool
            assert (pool.workers, pool.spares, pool.most, pool.waiting, pool.drained) == (2, 2, 5, 0, 0)
            assert pool.memory_bytes > sum(state.memory_bytes or 0 for state in made.session.status().states)

    asyncio.run(play())


def test_it_is_plain_data(tmp_path: Path) -> None:
    async def play() -> None:
        async with world() as made:
            await made.session.run("")
            plain = made.session.status().plain()
            assert json.loads(json.dumps(plain)) == plain

    asyncio.run(play())
