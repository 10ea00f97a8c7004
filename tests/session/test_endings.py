"""How things end when something on the way fails: the state stays usable or says that it was lost, and nothing is left behind."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from llmspell_kernel import Bridge, BridgeSession, Context, Resource, method
from llmspell_kernel.errors import BridgeError, DeniedError, Interrupted, LimitError, ScriptError, WorkerLost
from llmspell_kernel.journal.events import CallDenied, CallFinished, CallStarted, WorkerWasLost
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.protocol.steps import Effect, Failed, Fault, Finished, Suspended
from llmspell_kernel.session import Session, exchange
from llmspell_kernel.session.sources import Sources
from llmspell_kernel.shown import Shown
from llmspell_kernel.testing.fake_worker import FakePool, FakeWorker
from llmspell_kernel.values import loads

from .test_effects import answers, asks, effect
from .world import LIMITS, Probe, Recording, World, stop_after_call, world

STOPPED = Failed(Fault("interrupted", "stopped"))
SMALL = LIMITS._replace(value_bytes=1000, output_bytes=500, resources=2, end_s=0.05, startup_s=0.2)


class Line(Resource):
    """Something open."""

    type = "stubborn.line"

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def release(self) -> None:
        self.released.set()


class Stubborn(Bridge):
    """Does not take no for an answer, in several ways."""

    name = "stubborn"
    resources = (Line,)

    def __init__(self) -> None:
        self.line = Line()
        self.opened = 0
        self.go = asyncio.Event()
        self.waiting = asyncio.Event()

    async def open(self, session: BridgeSession) -> None:
        self.opened += 1
        if self.opened == 1:
            raise OSError("the network is down")

    @method
    async def turn(self, ctx: Context) -> None:
        """Makes another error of its cancellation."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RuntimeError("closed") from None

    @method
    async def resist(self, ctx: Context) -> str:
        """Is not cancelled until the test says so."""
        while not self.go.is_set():
            self.waiting.set()
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    @method
    async def dial(self, ctx: Context) -> Line:
        """Gives its line also when it is cancelled."""
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return self.line

    @method
    async def ping(self, ctx: Context) -> int:
        """Answers."""
        return self.opened


def play(run: Any) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(20):
            return await run()

    return asyncio.run(limited())


def test_an_answer_over_the_value_limit_is_an_error_of_that_call_alone() -> None:
    async def run() -> World:
        probe = Probe()
        probe.answer = "x" * 2000
        async with world(
            [asks(effect(1, "give"), effect(2, "count", 7)), asks(effect(3, "count", 8)), Finished()], limits=SMALL, probe=probe
        ) as made:
            assert (await made.session.run("x")).error is None
            return made

    got = answers(play(run).fake)
    assert got[1].fault is not None
    assert (got[1].fault.code, got[1].fault.limit, got[1].fault.value) == ("limit", "value_bytes", 1000)
    assert loads(got[2].value) == 7


def test_arguments_over_the_value_limit_never_reach_the_bridge() -> None:
    async def run() -> World:
        async with world([asks(effect(1, "echo", "x" * 2000)), Finished()], limits=SMALL) as made:
            await made.session.run("x")
            return made

    done = play(run)
    assert done.probe.calls == []
    assert [event.code for event in done.events(CallDenied)] == ["limit"]


def test_answers_too_large_for_one_message_go_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "RESUME_BYTES", 350)

    async def run() -> World:
        # the step after each message waits for the rest
        async with world([asks(*(effect(number, "echo", "x" * 100) for number in (1, 2, 3))), asks(effect(4, "hang")), STOPPED]) as made:
            await asyncio.gather(made.session.run("x"), stop_after_call(made)())
            return made

    rounds = [len(given) for _, given, _ in play(run).fake.of("resume")]  # type: ignore[attr-defined]
    assert rounds[0] == 2


def test_a_failure_of_ours_between_two_steps_loses_the_state_says_so_and_the_next_cell_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_sendable", lambda answers: 1 / 0)

    async def run() -> None:
        async with world([asks(effect(1, "count", 1))], [Finished()]) as made:
            error = (await made.session.run("x")).error
            assert isinstance(error, WorkerLost)
            assert "'main' was lost with its variables" in error.message
            assert isinstance(error.__cause__, ZeroDivisionError)
            assert (await made.session.run("y")).error is None
            assert len(made.events(WorkerWasLost)) == 1
            assert made.sink.text("stderr") == ""  # told once

    play(run)


def test_an_abandoned_effect_whose_bridge_maps_the_cancellation_is_not_answered() -> None:
    async def run() -> World:
        bridge = Stubborn()
        bridge.opened = 1
        script = [
            asks(effect(1, "turn", bridge="stubborn"), effect(2, "echo")),
            Suspended([effect(3, "wait", 0.01)], abandoned=[1]),
            Finished(),
        ]
        fake, probe = FakeWorker(script), Probe()
        session = Session(bridges=[probe, bridge], pool=FakePool([fake]))
        try:
            assert (await session.run("x")).error is None
        finally:
            await session.close()
        return World(session, probe, None, [fake])  # type: ignore[arg-type]

    assert sorted(answers(play(run).fake)) == [2, 3]


def test_a_worker_that_died_between_two_cells_is_told_before_the_next_one_runs() -> None:
    async def run() -> World:
        async with world([Finished()], [Finished()]) as made:
            await made.session.run("x")
            made.fake.lose("it was shot")
            assert (await made.session.run("x")).error is None
            return made

    done = play(run)
    assert done.sink.text("stderr") == (
        "the lua state 'main' was lost with its variables (signal SIGKILL): "
        "this cell runs in a new one, so run the cells above again that made what it needs\n"
    )
    assert done.names()[-3:] == ["WorkerWasLost", "StateOpened", "CellFinished"]


class Slow(FakeWorker):
    async def open(self, *arguments: Any) -> None:
        self.asked.set()
        await asyncio.Event().wait()

    asked: asyncio.Event


def test_a_state_that_never_opens_ends_in_time_and_holds_up_no_other() -> None:
    async def run() -> None:
        slow = Slow()
        slow.asked = asyncio.Event()
        async with world(slow, [Finished()], limits=SMALL) as made:
            first = asyncio.create_task(made.session.run("x"))
            await slow.asked.wait()
            assert (await made.session.run("x", state="other")).error is None
            error = (await first).error
            assert isinstance(error, WorkerLost)
            assert "did not open" in error.message

    play(run)


def test_a_stop_while_a_state_opens_ends_the_cell_at_once() -> None:
    async def run() -> None:
        slow = Slow()
        slow.asked = asyncio.Event()
        async with world(slow, [Finished()]) as made:
            first = asyncio.create_task(made.session.run("x"))
            await slow.asked.wait()
            made.session.interrupt()
            assert isinstance((await first).error, Interrupted)
            assert not slow.alive
            assert (await made.session.run("y")).error is None

    play(run)


def test_a_bridge_that_resists_is_named_and_the_session_goes_on_without_it() -> None:
    async def run() -> str:
        bridge = Stubborn()
        bridge.opened = 1
        async with world([asks(effect(1, "resist", bridge="stubborn")), STOPPED, Finished()]) as other:
            session = Session(bridges=[bridge], limits=SMALL, sink=other.sink, pool=FakePool([other.fake]))
            cell = asyncio.create_task(session.run("x"))
            await bridge.waiting.wait()
            session.interrupt()
            assert isinstance((await cell).error, Interrupted)
            bridge.go.set()  # the late answer is given to nobody
            assert (await session.run("y")).error is None
            await session.close()
            assert answers(other.fake) == {}
            return other.sink.text("stderr")

    assert "stubborn.resist: told to stop, still running" in play(run)


@pytest.mark.parametrize("end", ["stop", "fail"])
def test_a_stopped_or_failed_cell_releases_what_it_opened_and_nothing_older(end: str) -> None:
    last = Failed(Fault("script", "boo"))
    steps = [
        asks(effect(1, "ticker", 9)),
        Finished(),
        asks(effect(2, "ticker", 9)),
        *([asks(effect(3, "hang"))] if end == "stop" else []),
        last,
    ]

    async def run() -> list[int]:
        async with world(steps) as made:
            await made.session.run("x")
            await asyncio.gather(made.session.run("y"), *([stop_after_call(made)()] if end == "stop" else []))
            return [ticker.released for ticker in made.probe.tickers]

    assert play(run) == [0, 1]


def test_a_state_holds_no_more_resources_than_its_limit_and_the_refused_one_is_closed() -> None:
    async def run() -> World:
        async with world([*(asks(effect(number, "ticker", 9)) for number in (1, 2, 3)), Finished()], limits=SMALL) as made:
            await made.session.run("x")
            fault = answers(made.fake)[3].fault
            assert fault is not None
            assert (fault.limit, fault.value, fault.used) == ("resources", 2, 3)
            assert [ticker.released for ticker in made.probe.tickers] == [0, 0, 1]
            return made

    play(run)


def test_a_resource_whose_answer_is_dropped_is_released() -> None:
    async def run() -> None:
        bridge = Stubborn()
        bridge.opened = 1
        script = [
            asks(effect(1, "dial", bridge="stubborn"), effect(2, "ping", bridge="stubborn")),
            Suspended([effect(3, "ping", bridge="stubborn")], abandoned=[1]),
            Finished(),
        ]
        fake = FakeWorker(script)
        session = Session(bridges=[bridge], pool=FakePool([fake]))
        assert (await session.run("x")).error is None
        await bridge.line.released.wait()
        assert sorted(answers(fake)) == [2, 3]
        await session.close()

    play(run)


def test_displays_count_in_the_output_budget() -> None:
    async def run() -> World:
        probe = Probe()
        async with world(
            [asks(*(effect(number, "display", "x" * 200, bridge="ui") for number in range(1, 6))), Suspended()], limits=SMALL, probe=probe
        ) as made:
            made.fake.items[1:] = [asks(effect(number, "count", 1)) for number in range(6, 10)] + [Finished()]
            await made.session.run("x")
            return made

    got = play(run).sink.got
    assert [kind for kind, _ in got] == ["shown", "shown", "stderr"]
    assert "over 500 bytes" in got[-1][1]


class Page(Recording):
    """A sink on which everything takes 300 bytes."""

    def show(self, shown: Shown, null: str) -> int:
        super().show(shown, null)
        return 300


def shown_on_a_page(*effects: Effect) -> list[tuple[str, Any]]:
    async def run() -> list[tuple[str, Any]]:
        page = Page()
        async with world(
            [asks(*effects), *[asks(effect(99 + at, "count", 1)) for at in range(len(effects))], Finished()], limits=SMALL
        ) as made:
            await made.session.run("x", sink=page)
        return page.got

    found: list[tuple[str, Any]] = play(run)
    return found


def test_what_is_shown_counts_as_large_as_it_is_rendered() -> None:
    got = shown_on_a_page(*(effect(number, "json", [], bridge="ui") for number in range(1, 6)))
    assert [kind for kind, _ in got] == ["shown", "shown", "stderr"]


def test_a_huge_thing_is_not_even_rendered() -> None:
    got = shown_on_a_page(effect(1, "markdown", "x" * 501, bridge="ui"), effect(2, "display", 1, bridge="ui"))
    assert [kind for kind, _ in got] == ["stderr"]


def test_the_states_of_a_progress_bar_count_once() -> None:
    async def run() -> list[tuple[str, Any]]:
        page = Page()
        states = [asks(effect(number, "update", number, bridge="ui.progress_bar", target=1)) for number in range(2, 30)]
        opening = [asks(effect(1, "progress", 50, bridge="ui"))]
        async with world([*opening, *states, Failed(Fault("script", "m"))], limits=SMALL) as made:
            await made.session.run("x", sink=page)
        return page.got

    got = play(run)
    assert [shown.done for _, shown in got] == [0, *range(2, 30), 29]
    assert [shown.ended for _, shown in got] == [False] * 29 + [True]


def test_results_over_the_value_limit_are_the_cells_error() -> None:
    async def run() -> None:
        async with world([Finished(msgspec.Raw(b'["' + b"x" * 2000 + b'"]'))], limits=SMALL) as made:
            error = (await made.session.run("x")).error
            assert isinstance(error, LimitError)
            assert error.limit == "value_bytes"

    play(run)


def test_an_uncaught_denial_or_limit_keeps_its_fields() -> None:
    async def uncaught(message: str, code: str, **more: Any) -> Any:
        # no engine carries the fields: the script's fault has only the text
        async with world([asks(effect(1, "count", 1)), Failed(Fault(code, message))], **more) as made:
            return (await made.session.run("x")).error

    mend = "take that rule away: [grants] deny = []"
    text = f"probe.count is denied by your settings (rule 'deny = probe.*'); {mend}"
    error = play(lambda: uncaught(text, "denied", grants=Grants(deny=("probe.*",))))
    assert isinstance(error, DeniedError)
    assert error.capability == "probe.count"
    error = play(lambda: uncaught("the cell has used its 0 effects", "limit", limits=LIMITS._replace(effects=0)))
    assert isinstance(error, LimitError)
    assert (error.limit, error.value, error.used) == ("effects", 0, 1)


def test_a_call_from_python_is_journaled_obeys_grants_and_gives_no_resource() -> None:
    async def run() -> None:
        async with world([], grants=Grants(deny=("probe.echo",))) as made:
            assert await made.session.call_bridge("probe", "count", 3) == 3
            assert [type(event) for event in made.session.recorder] == [CallStarted, CallFinished]
            with pytest.raises(DeniedError):
                await made.session.call_bridge("probe", "echo", 1)
            assert made.probe.calls == ["count"]
            with pytest.raises(ScriptError, match="only a script can hold"):
                await made.session.call_bridge("probe", "ticker", 1)
            assert made.probe.tickers[0].released == 1

    play(run)


def test_a_bridge_that_failed_to_open_is_tried_again() -> None:
    async def run() -> None:
        session = Session(bridges=[Stubborn()], pool=FakePool())
        with pytest.raises(BridgeError, match="the bridge 'stubborn' could not be opened: OSError: the network is down"):
            await session.call_bridge("stubborn", "ping")
        assert await session.call_bridge("stubborn", "ping") == 2
        await session.close()

    play(run)


def test_a_bridge_that_could_not_be_imported_says_why() -> None:
    async def run() -> None:
        async with world([]) as made:
            made.session.failed_bridges = {"weather": "No module named 'sky'"}
            with pytest.raises(ScriptError, match="could not be loaded: No module named 'sky'"):
                await made.session.call_bridge("weather", "today")

    play(run)


def test_a_call_of_a_resource_names_it_in_the_journal() -> None:
    async def run() -> list[Any]:
        script = [asks(effect(1, "ticker", 9)), asks(effect(2, "next", bridge="probe.ticker", target=1)), Finished()]
        async with world(script) as made:
            await made.session.run("x")
            return [event.target for event in made.events(CallStarted)]

    assert play(run) == [None, 1]


def test_sources_keep_the_newest_within_their_limit() -> None:
    sources = Sources(limit=10)
    for number in range(5):
        sources[f"cell[{number}]"] = "x" * 4
    sources["cell[4]"] = "y" * 4
    assert dict(sources) == {"cell[3]": "xxxx", "cell[4]": "yyyy"}
    sources["large"] = "z" * 99
    assert list(sources) == ["large"]
