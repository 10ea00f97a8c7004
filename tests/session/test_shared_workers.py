"""Many states in one worker, as batches have them: each stops alone, and all are told when the worker dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import pytest

from llmspell_kernel.engines import EngineDeclaration, EngineRegistry, discover
from llmspell_kernel.errors import ConfigError, Interrupted, LimitError, WorkerLost
from llmspell_kernel.policy.limits import Limits
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.session import Session
from llmspell_kernel.workers.pool import WorkerPool

from .world import ENGINES, LIMITS, Probe

ENDLESS = {"lua": "while true do end", "javascript": "while (true) {}"}
SET = {"lua": "kept = 7", "javascript": "kept = 7"}
GET = {"lua": "return kept", "javascript": "kept"}
HANG = {"lua": "probe.hang()", "javascript": "await probe.hang()"}
SLEEP = {"lua": "timer.sleep(0.05) return 1", "javascript": "await timer.sleep(0.05); 1"}
DEAF = {
    "lua": 'local bomb = string.rep("(.-)", 8) .. "b" return string.find(string.rep("a", 3000), bomb)',
    "javascript": 'const text = "a".repeat(4e6), part = "a".repeat(2e6) + "b"; text.indexOf(part)',
}


@asynccontextmanager
async def shared(
    probe: Probe | None = None,
    limits: Limits = LIMITS,
    states_per_worker: int = 100,
    engines: EngineRegistry | None = None,
    workers: Mapping[str, Any] = MappingProxyType({}),
) -> AsyncIterator[Session]:
    engines = engines or discover()
    pool = WorkerPool(engines, policy=WorkerPolicy(states_per_worker=states_per_worker)._replace(**workers), startup_s=10)
    async with asyncio.timeout(60):
        session = Session(pool=pool, bridges=[probe or Probe()], limits=limits, engines=engines)
        try:
            yield session
        finally:
            await session.close()


def pids(session: Session) -> set[int]:
    return {script.worker.pid for script in session.states.values() if script.worker is not None}


@pytest.mark.parametrize("engine", ENGINES)
def test_states_share_a_worker_and_nothing_else(engine: str) -> None:
    async def run() -> None:
        async with shared(states_per_worker=2) as session:
            for state in "abc":
                assert (await session.run(SET[engine] if state == "a" else "", engine=engine, state=state)).error is None
            assert len(pids(session)) == 2, "the third found no room"
            assert (await session.run(GET[engine], engine=engine, state="a")).values == [7]
            assert (await session.run(GET[engine], engine=engine, state="b")).values in ([None], [])

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_cannot_be_opened_leaves_the_others_of_its_worker_alone_and_takes_no_room(engine: str) -> None:
    async def run() -> None:
        engines = discover()
        engines.register(EngineDeclaration("hollow", "Hollow", "json"))  # a module that is no interpreter
        async with shared(states_per_worker=2, engines=engines) as session:
            await session.run(SET[engine], engine=engine, state="a")
            for _ in range(3):
                assert isinstance((await session.run("1", engine="hollow")).error, ConfigError)
            assert (await session.run(GET[engine], engine=engine, state="a")).values == [7]
            await session.run("", engine=engine, state="b")
            assert len(pids(session)) == 1

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_stop_of_a_busy_state_leaves_the_others_of_its_worker_alone(engine: str) -> None:
    async def run() -> None:
        async with shared() as session:
            for state in "abc":
                await session.run(SET[engine], engine=engine, state=state)
            busy = asyncio.ensure_future(session.run(ENDLESS[engine], engine=engine, state="a"))
            queued = asyncio.ensure_future(session.run(GET[engine], engine=engine, state="b"))
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.1, lambda: session.interrupt(state="a"))
            assert isinstance((await busy).error, Interrupted)
            assert (await queued).values == [7]
            assert (await session.run(GET[engine], engine=engine, state="a")).values == [7], "its state is kept"
            assert len(pids(session)) == 1

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_question_that_waits_for_another_states_step_is_no_reason_to_kill_the_worker(engine: str) -> None:
    async def run() -> None:
        async with shared(workers={"query_s": 0.1}) as session:
            for state in "ab":
                await session.run(SET[engine], engine=engine, state=state)
            before = pids(session)
            busy = asyncio.ensure_future(session.run(ENDLESS[engine], engine=engine, state="a"))
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.5, lambda: session.interrupt(state="a"))
            assert await session.get("kept", engine=engine, state="b") == 7
            assert isinstance((await busy).error, Interrupted)
            assert pids(session) == before

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_stop_of_a_waiting_state_leaves_the_others_of_its_worker_alone(engine: str) -> None:
    async def run() -> None:
        probe = Probe()
        async with shared(probe) as session:
            waiting = [asyncio.ensure_future(session.run(HANG[engine], engine=engine, state=state)) for state in "ab"]
            await probe.waiting.wait()
            session.interrupt(state="a")
            assert isinstance((await waiting[0]).error, Interrupted)
            assert not waiting[1].done()
            session.interrupt()
            assert isinstance((await waiting[1]).error, Interrupted)

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_deaf_state_takes_its_worker_along_and_every_state_of_it_is_told(engine: str) -> None:
    async def run() -> None:
        probe = Probe()
        async with shared(probe, LIMITS._replace(script_time_s=0.5)) as session:
            waiting = asyncio.ensure_future(session.run(HANG[engine], engine=engine, state="a"))
            await probe.waiting.wait()
            deaf = await session.run(DEAF[engine], engine=engine, state="b")
            assert isinstance(deaf.error, LimitError)
            assert isinstance((await waiting).error, WorkerLost)
            for state in "ab":
                assert (await session.run("", engine=engine, state=state)).error is None

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_ends_gives_its_room_back_and_the_others_live(engine: str) -> None:
    async def run() -> None:
        async with shared(states_per_worker=2) as session:
            for state in "ab":
                await session.run(SET[engine], engine=engine, state=state)
            before = pids(session)
            await session.forget("a", engine)
            assert (await session.run("", engine=engine, state="c")).error is None
            assert pids(session) == before
            assert (await session.run(GET[engine], engine=engine, state="b")).values == [7]

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_hundred_scripts_wait_at_the_same_time_in_one_worker(engine: str) -> None:
    async def run() -> None:
        async with shared() as session:
            done = await asyncio.gather(*(session.run(SLEEP[engine], engine=engine, state=f"s{number}") for number in range(100)))
            assert [outcome.values for outcome in done] == [[1]] * 100
            assert len(pids(session)) == 1

    asyncio.run(run())
