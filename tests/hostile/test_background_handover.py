"""Between a cell's background work and the next cell nothing is lost: no stop, no effect that nobody would end, no answer for another."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from llmspell_kernel.errors import WorkerLost
from llmspell_kernel.protocol.steps import Background, Effect, Failed, Fault, Finished, Suspended
from llmspell_kernel.testing.fake_worker import Busy, Item

from ..session.test_effects import answers, effect
from ..session.test_shared_workers import DEAF, HANG, SET, pids, shared
from ..session.world import ENGINES, LIMITS, Probe, world

POLL = {
    "lua": "async.background(function() while true do timer.sleep(0.01) probe.echo(1) end end, 'poll')",
    "javascript": "async.background(async () => { for (;;) { await timer.sleep(0.01); await probe.echo(1); } }, 'poll'); 0",
}
DEAF_SOON = {
    "lua": f"timer.sleep(0.01) {DEAF['lua'].replace('return ', 'local _ = ')}",
    "javascript": f"await timer.sleep(0.01); {DEAF['javascript']}",
}
HANG_AND_GO_DEAF = {
    "lua": f"async.background(function() probe.hang() end) async.background(function() {DEAF_SOON['lua']} end)",
    "javascript": f"async.background(() => probe.hang()); async.background(async () => {{ {DEAF_SOON['javascript']} }}); 0",
}
BUSY_POLL = {
    "lua": "async.background(function() while true do probe.echo(1) timer.sleep(0.001) for i = 1, 3e5 do end end end, 'poll')",
    "javascript": "async.background(async () => { for (;;) { await probe.echo(1); for (let i = 0; i < 3e5; i++); } }, 'poll'); 0",
}
LIMIT_TEXTS = {"script_time_s": "ran for more than its 0.5 s", "total_time_s": "took more than its 1.5 s in all"}
NEXT = {"lua": "return probe.echo(7)", "javascript": "await probe.echo(7)"}


async def first_of(*work: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(each) for each in work]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def lingering(*new: Effect) -> Finished:
    return Finished(background=Background(list(new), open=[item.id for item in new], tasks=["poll"]))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cell_that_never_begins_leaves_the_background_alive_and_a_stop_still_ends_it(engine: str) -> None:
    async def run() -> None:
        async with world() as made, asyncio.timeout(30):
            await made.session.run(POLL[engine], engine=engine)
            outcome = await made.session.run("", engine=engine, inputs={"t": object()})
            assert outcome.error is not None
            made.probe.called.clear()
            await made.probe.called.wait()
            assert [task.label for task in made.session.background] == ["poll"]
            made.session.interrupt()
            await made.session.background_ended()
            assert made.session.background == []
            assert (await made.session.run(NEXT[engine], engine=engine)).values == [7]

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_effects_of_background_work_that_is_killed_while_a_cell_waits_for_it_are_cancelled(engine: str) -> None:
    async def run() -> None:
        async with world(limits=LIMITS._replace(script_time_s=0.5)) as made, asyncio.timeout(30):
            await made.session.run(HANG_AND_GO_DEAF[engine], engine=engine)
            await asyncio.sleep(0.1)  # until the deaf one is at it, which nothing tells
            outcome = await made.session.run(NEXT[engine], engine=engine)
            assert outcome.values == [7]
            assert made.probe.cancelled == 1

    asyncio.run(run())


def test_an_answer_for_background_work_that_is_being_stopped_is_not_sent_to_the_next_cell() -> None:
    async def run() -> None:
        stopped = Failed(Fault("interrupted", "stopped"))
        items: list[Item] = [lingering(effect(1, "echo", "a"), effect(2, "hang")), stopped, Suspended([effect(3, "echo", "b")]), Finished()]
        async with world(items) as made, asyncio.timeout(10):
            await made.session.run("x")
            await made.probe.called.wait()  # the answer lies ready, and was not sent yet
            made.session.interrupt()
            assert (await made.session.run("y")).error is None
            assert set(answers(made.fake)) == {3}
            assert made.probe.cancelled == 1

    asyncio.run(run())


def test_a_cell_that_is_given_up_while_it_waits_for_the_background_leaves_its_state_free() -> None:
    async def run() -> None:
        async with world([lingering(effect(1, "echo")), Busy(seconds=0.3), Finished(), Finished()]) as made, asyncio.timeout(10):
            await made.session.run("x")
            await made.probe.called.wait()
            await asyncio.sleep(0)
            cell = asyncio.create_task(made.session.run("y"))
            await asyncio.sleep(0.05)
            cell.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cell
            await asyncio.sleep(0.4)
            assert (await made.session.run("z")).error is None

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cell_whose_state_is_forgotten_in_a_shared_worker_ends_at_once_with_an_error(engine: str) -> None:
    async def run() -> None:
        probe = Probe()
        async with shared(probe) as session:
            await session.run(SET[engine], engine=engine, state="other")
            cell = asyncio.create_task(session.run(HANG[engine], engine=engine, state="mine"))
            await probe.waiting.wait()
            await session.forget("mine", engine)
            async with asyncio.timeout(5):
                assert isinstance((await cell).error, WorkerLost)
            assert probe.cancelled == 1
            assert len(session.resources) == 0
            assert len(pids(session)) == 1, "the worker lives for its other state"

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_is_forgotten_while_it_is_asked_takes_no_other_of_its_worker_along(engine: str) -> None:
    async def run() -> None:
        async with shared() as session:
            await session.run(SET[engine], engine=engine, state="other")
            await session.run(SET[engine], engine=engine, state="mine")
            question = asyncio.create_task(session.ask("members", "", engine=engine, state="mine"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await session.forget("mine", engine)
            assert await question is not None
            assert (await session.get("kept", engine=engine, state="other")) == 7

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("limit", ["script_time_s", "total_time_s"])
def test_cells_that_fail_to_begin_do_not_renew_the_times_of_what_goes_on(engine: str, limit: str) -> None:
    async def run() -> None:
        async with world(limits=LIMITS._replace(script_time_s=0.5, total_time_s=1.5, effects=1_000_000)) as made, asyncio.timeout(30):
            busy = {"script_time_s": BUSY_POLL, "total_time_s": POLL}[limit]
            await made.session.run(busy[engine], engine=engine)
            while made.session.background:
                await made.session.run("", engine=engine, inputs={"t": object()})
                made.probe.called.clear()
                await first_of(made.probe.called.wait(), made.session.background_ended())
            told = made.sink.text("stderr")
            assert "background work ended: " in told
            assert LIMIT_TEXTS[limit] in told

    asyncio.run(run())
