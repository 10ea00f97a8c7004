"""What a cell leaves in the background: it goes on without one, beside the next one, and ends when told."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.errors import Interrupted
from llmspell_kernel.journal.events import CallFailed, CallFinished
from llmspell_kernel.protocol.steps import Background, Effect, Failed, Fault, Finished, Returned, Suspended
from llmspell_kernel.protocol.transitions import Phase
from llmspell_kernel.session.background import BackgroundTask
from llmspell_kernel.testing.fake_worker import Printed

from .test_effects import answers, effect
from .world import LIMITS, World, world

STOPPED = Failed(Fault("interrupted", "stopped"))


def lingering(*new: Effect, waits: tuple[int, ...] = (), tasks: tuple[str, ...] = ("poll",)) -> Finished:
    """The end of a cell, or of a slice: background work asked for `new`, and waits for these and for `waits`."""
    return Finished(background=Background(list(new), open=[*waits, *(item.id for item in new)], tasks=list(tasks)))


def phase(made: World) -> Phase:
    return made.session.states["main", "lua"].phase()


def test_the_cell_ends_and_its_background_work_is_answered_without_one() -> None:
    async def run() -> None:
        async with world(
            [lingering(effect(1, "echo", "a")), Printed("stdout", "later\n"), lingering(effect(2, "echo", "b")), Finished()]
        ) as made:
            outcome = await made.session.run("x")
            assert outcome.error is None
            assert phase(made) is Phase.LINGERING
            assert made.session.background == [BackgroundTask("main", "lua", "poll")]
            await made.session.background_ended()
            assert phase(made) is Phase.IDLE
            assert made.session.background == []
            assert set(answers(made.fake)) == {1, 2}
            assert made.sink.text("stdout") == "later\n"

    asyncio.run(run())


def test_only_the_effects_of_the_background_outlive_their_cell() -> None:
    async def run() -> None:
        first = Suspended([effect(1, "hang"), effect(2, "hang"), effect(3, "count", 1)])
        async with world([first, lingering(waits=(2,)), STOPPED]) as made:
            await made.session.run("x")
            assert [event.call for event in made.events(CallFailed)] == [1], "the call of the cell is cancelled, the other goes on"
            made.session.interrupt()
            await made.session.background_ended()
            assert made.probe.cancelled == 2

    asyncio.run(run())


def test_the_next_cell_answers_the_background_work_of_the_last_one() -> None:
    async def run() -> None:
        script = [lingering(effect(1, "hang"), effect(2, "wait", 0.05)), Suspended([effect(3, "wait", 0.1)])]
        async with world([*script, Suspended([effect(4, "count", 4)]), lingering(waits=(1,)), STOPPED]) as made:
            await made.session.run("first")
            outcome = await made.session.run("second")
            assert outcome.error is None
            given = answers(made.fake)
            assert 2 in given
            assert 1 not in given
            assert phase(made) is Phase.LINGERING
            made.session.interrupt(state="main")
            await made.session.background_ended()

    asyncio.run(run())


def test_a_stop_ends_the_background_work_and_the_next_cell_works() -> None:
    async def run() -> None:
        async with world([lingering(effect(1, "hang")), STOPPED, Finished()]) as made:
            await made.session.run("x")
            await made.probe.waiting.wait()
            made.session.interrupt()
            await made.session.background_ended()
            assert phase(made) is Phase.IDLE
            assert "background work ended: stopped" in made.sink.text("stderr")
            assert made.probe.cancelled == 1
            assert (await made.session.run("y")).error is None

    asyncio.run(run())


def test_a_cell_that_comes_while_the_background_is_being_stopped_finds_it_gone() -> None:
    async def run() -> None:
        async with world([lingering(effect(1, "hang")), STOPPED, Finished()]) as made:
            await made.session.run("x")
            await made.probe.waiting.wait()
            made.session.interrupt()
            assert (await made.session.run("y")).error is None
            assert made.session.background == []
            assert made.probe.cancelled == 1

    asyncio.run(run())


def test_what_a_stopped_background_waited_for_is_never_told_to_the_next_cell() -> None:
    async def run() -> None:
        script = [lingering(effect(1, "wait", 0.02)), STOPPED, Suspended([effect(2, "wait", 0.1)]), Finished()]
        async with world(script) as made:
            await made.session.run("x")
            await made.probe.called.wait()
            made.session.interrupt()
            assert (await made.session.run("y")).error is None
            assert set(answers(made.fake)) == {2}

    asyncio.run(run())


def test_an_error_that_nobody_caught_in_the_background_is_told_and_the_rest_goes_on() -> None:
    async def run() -> None:
        failed = [Fault("script", "no such thing", "TypeError")]
        script = [
            Finished(background=Background([effect(1, "echo")], open=[1], tasks=["a"])),
            Finished(background=Background([effect(2, "echo")], open=[2], tasks=["b"], failed=failed)),
            Finished(background=Background(failed=failed)),
        ]
        async with world(script) as made:
            await made.session.run("x")
            await made.session.background_ended()
            assert made.sink.text("stderr") == "[background work failed: TypeError: no such thing]\n" * 2

    asyncio.run(run())


def test_a_failed_cell_leaves_its_background_work_alive() -> None:
    async def run() -> None:
        background = Background([effect(1, "echo")], open=[1], tasks=["a"])
        async with world([Failed(Fault("script", "boo"), background), Finished()]) as made:
            outcome = await made.session.run("x")
            assert outcome.error is not None
            await made.session.background_ended()
            assert len(made.events(CallFinished)) == 1

    asyncio.run(run())


def test_background_work_that_is_deaf_to_its_total_time_is_ended() -> None:
    async def run() -> None:
        async with world([lingering(effect(1, "hang")), STOPPED], limits=LIMITS._replace(total_time_s=0.05)) as made:
            await made.session.run("x")
            await made.session.background_ended()
            assert "the cell took more than its 0.05 s in all" in made.sink.text("stderr")

    asyncio.run(run())


def test_the_end_of_a_state_cancels_its_background_work() -> None:
    async def run() -> None:
        async with world([lingering(effect(1, "hang"))]) as made:
            await made.session.run("x")
            await asyncio.wait_for(made.probe.waiting.wait(), 5)
            await made.session.forget("main", "lua")
            assert made.probe.cancelled == 1
            assert made.session.background == []

    asyncio.run(run())


def test_a_worker_that_dies_between_cells_takes_its_background_work_along() -> None:
    async def run() -> None:
        async with world([lingering(effect(1, "hang"))], [Finished()]) as made:
            await made.session.run("x")
            await asyncio.wait_for(made.probe.waiting.wait(), 5)
            made.fake.lose("it was shot")
            await made.session.background_ended()
            assert made.probe.cancelled == 1
            assert (await made.session.run("y")).error is None

    asyncio.run(run())


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Suspended([effect(2, "echo")]), "'suspended' is not legal while a state is stirring"),
        (Finished(background=Background([effect(1, "echo")], open=[1])), "does not count up"),
        (Finished(background=Background(returned=[Returned(7)], open=[1])), "unknown"),
    ],
)
def test_a_hostile_worker_that_breaks_a_rule_between_cells_is_ended(step: Suspended | Finished, words: str) -> None:
    async def run() -> None:
        async with world([lingering(effect(1, "echo")), step], [Finished()]) as made:
            await made.session.run("x")
            await made.session.background_ended()
            assert not made.fake.alive
            assert words in made.sink.text("stderr")
            assert (await made.session.run("y")).error is None

    asyncio.run(run())


def test_a_stop_can_name_one_state() -> None:
    async def run() -> None:
        async with world([Suspended([effect(1, "hang")]), STOPPED], [Suspended([effect(1, "wait", 0.05)]), Finished()]) as made:
            first = asyncio.ensure_future(made.session.run("x", state="a"))
            second = asyncio.ensure_future(made.session.run("y", state="b"))
            await made.probe.waiting.wait()
            await made.probe.called.wait()
            made.session.interrupt(state="a")
            assert isinstance((await first).error, Interrupted)
            assert (await second).error is None

    asyncio.run(run())


def test_a_stop_may_come_from_any_thread() -> None:
    async def run() -> None:
        async with world([Suspended([effect(1, "hang")]), STOPPED]) as made:
            cell = asyncio.ensure_future(made.session.run("x"))
            await made.probe.waiting.wait()
            await asyncio.to_thread(made.session.interrupt)
            assert isinstance((await cell).error, Interrupted)

    asyncio.run(run())
