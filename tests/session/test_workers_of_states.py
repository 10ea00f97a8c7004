"""What the pool does for states: waiting for a worker, questions to idle ones, recovery, and an end within a deadline."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from llmspell_kernel.errors import ConfigError, LimitError, WorkerLost
from llmspell_kernel.journal.events import WorkerWasLost
from llmspell_kernel.policy.limits import MiB
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.protocol.steps import Failed, Fault, Finished
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.fake_clock import FakeClock
from llmspell_kernel.testing.fake_worker import Busy, FakeWorker

from ..workers.processes import until
from .world import ENGINES, LIMITS, Probe, Recording, World, world

SET = {"lua": "kept = 7", "javascript": "kept = 7"}
GET = {"lua": "return kept", "javascript": "globalThis.kept ?? null"}
FILL = {
    "lua": "kept = {} for i = 1, 1e9 do kept[i] = {i} end",
    "javascript": "var kept = []; for (;;) kept.push([kept.length])",
}


def one_worker(wait_s: float = 30.0) -> Settings:
    return Settings(workers={"max": 1, "spares": 0, "wait_s": wait_s})


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_finds_no_worker_waits_with_a_notice_and_runs_when_one_is_free(engine: str) -> None:
    async def play() -> None:
        async with world(settings=one_worker()) as made:
            await made.session.run(SET[engine], engine=engine, state="a")
            waiting = asyncio.ensure_future(made.session.run(GET[engine], engine=engine, state="b"))
            await until(lambda: made.sink.text("stderr"))
            assert made.sink.text("stderr") == "[waits for a worker: all 1 are in use]\n"
            await made.session.forget("a", engine)
            assert (await waiting).values in ([None], []), "and finds nothing of the state that had it"

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_finds_no_worker_in_time_fails_with_the_limit_and_the_other_goes_on(engine: str) -> None:
    async def play() -> None:
        async with world(settings=one_worker(0.1)) as made:
            await made.session.run(SET[engine], engine=engine, state="a")
            error = (await made.session.run("", engine=engine, state="b")).error
            assert isinstance(error, LimitError) and error.limit == "workers.max"
            assert (await made.session.run(GET[engine], engine=engine, state="a")).values == [7]

    asyncio.run(play())


def test_a_stop_ends_the_wait_for_a_worker() -> None:
    async def play() -> None:
        async with world(settings=one_worker()) as made:
            await made.session.run("", state="a")
            waiting = asyncio.ensure_future(made.session.run("", state="b"))
            await until(lambda: made.sink.text("stderr"))
            made.session.interrupt(state="b")
            assert (await waiting).error.code == "interrupted"  # type: ignore[union-attr]

    asyncio.run(play())


async def beat(made: World, clock: FakeClock) -> None:
    clock.advance(60)
    await made.session._pulse.asked()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_idle_worker_that_answers_no_ping_is_killed_and_its_state_told_of(engine: str) -> None:
    async def play() -> None:
        clock = FakeClock()
        async with world(settings=Settings(workers={"query_s": 0.3}), clock=clock) as made:
            await made.session.run(SET[engine], engine=engine)
            await made.session.run(SET[engine], engine=engine, state="well")
            await beat(made, clock)
            assert (await made.session.run(GET[engine], engine=engine)).values == [7], "one that answers lives"
            os.kill(made.session.status().states[0].pid or 0, signal.SIGSTOP)
            await beat(made, clock)
            assert made.session.status().states[0].pid is None
            outcome = await made.session.run(GET[engine], engine=engine)
            assert outcome.error is None and outcome.values in ([None], [])
            assert "did not answer" in made.sink.text("stderr") or "was lost" in made.sink.text("stderr")
            (lost,) = made.events(WorkerWasLost)
            assert lost.reason == "signal SIGKILL"
            assert (await made.session.run(GET[engine], engine=engine, state="well")).values == [7]

    asyncio.run(play())


def test_nobody_asks_a_worker_whose_script_runs_or_waits() -> None:
    async def play() -> None:
        clock = FakeClock()
        async with world([Busy(), Finished()], clock=clock) as made:
            running = asyncio.ensure_future(made.session.run("x"))
            await until(lambda: made.fake.of("begin"))
            await beat(made, clock)
            assert made.fake.of("query") == []
            made.session.interrupt()
            await running
            await beat(made, clock)
            assert len(made.fake.of("query")) == 1

    asyncio.run(play())


def test_nothing_beats_in_a_session_without_workers() -> None:
    async def play() -> None:
        clock = FakeClock()
        async with world([Finished()], clock=clock, workers=WorkerPolicy(spares=0)) as made:
            await made.session.run("x")
            await made.session.forget("main", "lua")
            clock.advance(10_000)
            assert clock.alarms == 0

    asyncio.run(play())


class Mute(FakeWorker):
    """Answers no question any more."""

    async def query(self, state: int, kind: Any, text: str, value: Any = b"null") -> bytes:
        self._check_alive()
        await self._end.wait()
        self._check_alive()
        raise AssertionError


def test_a_state_that_answers_no_more_after_a_limit_is_ended_and_the_error_says_so() -> None:
    async def play() -> None:
        limit = Failed(Fault("limit", "the state's memory limit was met"))
        async with world(Mute([limit]), [Finished()], workers=WorkerPolicy(query_s=0.05, spares=0)) as made:
            error = (await made.session.run("x")).error
            assert isinstance(error, LimitError)
            assert "the lua state 'main' answered no more and was ended, the next cell gets a new one" in error.message
            assert (await made.session.run("y")).error is None
            assert made.sink.text("stderr") == "", "it is told once"

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_met_its_memory_limit_and_answers_is_kept(engine: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(memory_bytes=32 * MiB)) as made:
            await made.session.run(SET[engine], engine=engine)
            pid = made.session.status().states[0].pid
            assert isinstance((await made.session.run(FILL[engine], engine=engine)).error, LimitError)
            assert made.session.status().states[0].pid == pid
            assert (await made.session.run(SET[engine], engine=engine)).error is None

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reset_state_shares_nothing_with_the_one_before_not_even_its_process(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            await made.session.run(SET[engine], engine=engine)
            before = made.session.status().states[0].pid
            await made.session.forget("main", engine)
            assert (await made.session.run(GET[engine], engine=engine)).values in ([None], [])
            assert made.session.status().states[0].pid != before

    asyncio.run(play())


class Stubborn(Probe):
    """A bridge that takes for ever to close."""

    async def close(self) -> None:
        await asyncio.Event().wait()


def test_the_end_of_a_session_has_a_deadline_and_leaves_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("llmspell_kernel.session.session.report", lambda what, error: told.append(what))

    async def play() -> None:
        session = Session(bridges=[Stubborn()], sink=Recording(), settings=Settings(workers={"shutdown_s": 0.2}))
        await session.run("probe.echo()")
        started = asyncio.get_running_loop().time()
        await session.close()
        assert asyncio.get_running_loop().time() - started < 2
        assert session.worker_pids == []
        assert told == ["the session did not end within 0.2 s; its workers were killed"]
        assert isinstance((await session.run("1")).error, WorkerLost)

    asyncio.run(play())


def test_a_change_of_the_settings_reaches_the_pool() -> None:
    async def play() -> None:
        async with world() as made:
            await made.session.run("", state="a")
            made.session.configure(Settings(workers={"max": 1, "wait_s": 0.05, "spares": 0}))
            assert len(made.session.worker_pids) == 1
            assert isinstance((await made.session.run("", state="b")).error, LimitError)
            with pytest.raises(ConfigError):
                made.session.configure(Settings(workers={"max": 5}, init={"luah": "x.lua"}))
            assert made.session.status().pool.most == 1, "a wrong change changes nothing"

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_spare_of_an_idle_notebook_ends_and_is_there_again_with_the_next_cell(engine: str) -> None:
    async def play() -> None:
        clock = FakeClock()
        async with world(settings=Settings(workers={"idle_s": 300}), clock=clock) as made:
            made.session.warm()
            assert len(made.session.worker_pids) == 1
            clock.advance(300)
            assert made.session.worker_pids == [], "also where no script ever ran"
            await made.session.run(SET[engine], engine=engine)
            assert made.session.status().pool[:2] == (1, 1)
            clock.advance(300)
            assert made.session.status().pool[:2] == (1, 0)
            assert (await made.session.run(GET[engine], engine=engine)).values == [7], "what a state holds outlives every pause"
            assert made.session.status().pool[:2] == (1, 1)

    asyncio.run(play())
