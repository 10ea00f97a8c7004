"""The whole way of a cell through real workers, on every engine."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import time
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from llmspell_kernel.errors import Interrupted, LimitError, ScriptError, WorkerLost
from llmspell_kernel.journal.events import CallDenied, CallFailed, CellFinished, ResourceClosed, StateRestored, WorkerWasLost
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.render.journal import trace_text
from llmspell_kernel.session import ExecutionResult
from llmspell_kernel.shown import Data

from .world import ENGINES, LIMITS, Probe, Recording, World, stop_after_call, world

CODE: dict[str, dict[str, str]] = {
    "lua": {
        "keep": "kept = 5",
        "kept": "return kept",
        "loop": "while true do pcall(function() while true do end end) end",
        "signal, then loop": 'probe.echo("on") while true do end',
        "hang": "probe.hang()",
        "echo": "return probe.echo({1, {a = 2}})",
        "catch": "local ok, err = pcall(probe.fail) return ok, err.code, err.message",
        "catch denied": "local ok, err = pcall(probe.echo, 1) return ok, err.code",
        "flood": 'local line = ("x"):rep(999) for i = 1, 50000 do print(line) end',
        "print and call": 'for i = 1, 50 do print("before " .. i) ui.display(i) end',
        "iterate": "local sum = 0 for n in probe.ticker(4) do sum = sum + n end return sum",
        "break out": "held = probe.ticker(9) for n in held do if n == 2 then break end end",
        "close": "held:close() local ok, err = pcall(function() return held:next() end) return ok, err.code",
        "use": "local ok, err = pcall(function() return held:next() end) return ok, err.code",
        "apply": "return probe.apply(function(x) return probe.echo(x) + 1 end, 41)",
        "apply failing": 'local ok, err = pcall(probe.apply, function() error("in it") end) return ok, err.message',
        "keep callback": "probe.keep(function() return 7 end)",
        "wait three times": "for i = 1, 3 do probe.wait(0.3) end return 1",
        "call unknown": "probe.ecko(1)",
    },
    "javascript": {
        "keep": "let kept = 5",
        "kept": "kept",
        "loop": "while (true) { try { while (true) {} } catch (e) {} }",
        "signal, then loop": 'await probe.echo("on"); while (true) {}',
        "hang": "await probe.hang()",
        "echo": "await probe.echo([1, {a: 2}])",
        "catch": "let caught; try { await probe.fail() } catch (e) { caught = [false, e.code, e.message] }; caught",
        "catch denied": "let denied; try { await probe.echo(1) } catch (e) { denied = [false, e.code] }; denied",
        "flood": 'const line = "x".repeat(999); for (let i = 0; i < 50000; i++) console.log(line)',
        "print and call": 'for (let i = 1; i <= 50; i++) { console.log("before " + i); await ui.display(i) }',
        "iterate": "let sum = 0; for await (const n of await probe.ticker(4)) sum += n; sum",
        "break out": "let held = await probe.ticker(9); for await (const n of held) if (n === 2) break",
        "close": "let after; await held.close(); try { await held.next(); after = true } catch (e) { after = [false, e.code] }; after",
        "use": "let used; try { await held.next(); used = true } catch (e) { used = [false, e.code] }; used",
        "apply": "await probe.apply(async x => await probe.echo(x) + 1, 41)",
        "apply failing": 'let said; try { await probe.apply(() => { throw new Error("in it") }) } catch (e) { said = [false, e.message] }; said',
        "keep callback": "await probe.keep(() => 7)",
        "wait three times": "for (let i = 0; i < 3; i++) await probe.wait(0.3); 1",
        "call unknown": "await probe.ecko(1)",
    },
}
TESTED = sorted(set(ENGINES) & set(CODE))
every_engine = pytest.mark.parametrize("engine", TESTED)


def flat(outcome: ExecutionResult) -> list[Any]:
    """The results, the same for Lua's several values and JavaScript's one array."""
    assert outcome.error is None, outcome.error
    return outcome.values[0] if len(outcome.values) == 1 and isinstance(outcome.values[0], list) else outcome.values


def on(made: World, engine: str) -> Any:
    """Runs a named piece of that engine's code."""

    async def cell(name: str, **more: Any) -> ExecutionResult:
        return await made.session.run(CODE[engine][name], engine=engine, **more)

    return cell


async def script_runs(made: World, engine: str) -> None:
    """Until the engine computes after the cell's first call: only its use of the processor says so."""
    await made.probe.called.wait()
    worker = made.session.states["main", engine].worker
    assert worker is not None
    process = psutil.Process(worker.pid)
    before = process.cpu_times().user
    while process.cpu_times().user < before + 0.05:  # noqa: ASYNC110  no event tells of processor time
        await asyncio.sleep(0)


def test_every_engine_has_code_for_these_tests() -> None:
    assert set(ENGINES) == set(CODE)


@every_engine
def test_a_denied_effect_never_reaches_its_bridge_and_can_be_caught(engine: str) -> None:
    async def play() -> None:
        async with world(grants=Grants(deny=("probe.echo",))) as made:
            assert flat(await on(made, engine)("catch denied")) == [False, "denied"]
            assert made.probe.calls == []
            assert len(made.events(CallDenied)) == 1

    asyncio.run(play())


@every_engine
def test_an_error_of_a_bridge_can_be_caught(engine: str) -> None:
    async def play() -> None:
        probe = Probe()
        probe.raises = ValueError("no luck")
        async with world(probe=probe) as made:
            assert flat(await on(made, engine)("catch")) == [False, "bridge", "probe.fail failed: ValueError: no luck"]

    asyncio.run(play())


@every_engine
def test_an_unknown_method_is_one_error_with_the_nearest_name(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            outcome = await on(made, engine)("call unknown")
            assert isinstance(outcome.error, ScriptError)
            assert "did you mean 'echo'" in outcome.error.message
            assert made.probe.calls == []

    asyncio.run(play())


@every_engine
def test_values_inputs_and_outputs_cross(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            cell = on(made, engine)
            assert (await cell("echo")).values == [[1, {"a": 2}]]
            outcome = await cell("kept", inputs={"kept": {"rows": [1, 2.5, "x", True]}}, outputs=["kept"])
            assert outcome.values == [{"rows": [1, 2.5, "x", True]}]
            assert outcome.outputs == {"kept": {"rows": [1, 2.5, "x", True]}}

    asyncio.run(play())


# ------------------------------------------------------------------------------------------------------------ stops and limits


@every_engine
def test_a_stop_while_running_is_answered_soon_and_the_state_is_kept(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            cell = on(made, engine)
            await cell("keep")
            running = asyncio.ensure_future(cell("signal, then loop"))
            await script_runs(made, engine)
            started = time.monotonic()
            made.session.interrupt()
            outcome = await running
            assert time.monotonic() - started < 0.3
            assert isinstance(outcome.error, Interrupted)
            assert (await cell("kept")).values == [5]
            assert not made.events(WorkerWasLost)

    asyncio.run(play())


@every_engine
def test_a_stop_while_waiting_is_answered_at_once_and_the_state_is_kept(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            cell = on(made, engine)
            await cell("keep")
            waiting = asyncio.ensure_future(cell("hang"))
            await made.probe.waiting.wait()
            started = time.monotonic()
            made.session.interrupt()
            outcome = await waiting
            assert time.monotonic() - started < 0.1
            assert isinstance(outcome.error, Interrupted)
            assert made.probe.cancelled == 1
            assert [event.cancelled for event in made.events(CallFailed)] == [True]
            assert (await cell("kept")).values == [5]

    asyncio.run(play())


@every_engine
def test_a_script_over_its_time_ends_with_its_limit_and_the_state_is_kept(engine: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(script_time_s=0.3)) as made:
            cell = on(made, engine)
            await cell("keep")
            outcome = await cell("loop")
            assert isinstance(outcome.error, LimitError)
            assert outcome.error.limit == "script_time_s"
            assert 0.3 <= outcome.duration_s < 0.7
            assert (await cell("kept")).values == [5]

    asyncio.run(play())


@every_engine
def test_waiting_is_not_script_time_but_counts_in_the_total(engine: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(script_time_s=0.8)) as made:
            assert (await on(made, engine)("wait three times")).error is None
        async with world(limits=LIMITS._replace(total_time_s=0.2)) as made:
            outcome = await on(made, engine)("wait three times")
            assert isinstance(outcome.error, LimitError)
            assert outcome.error.limit == "total_time_s"
            assert outcome.duration_s < 0.8

    asyncio.run(play())


@pytest.mark.skipif("lua" not in TESTED, reason="the attack is one of Lua's string library")
def test_a_pattern_bomb_is_killed_the_message_says_what_was_lost_and_the_next_cell_works() -> None:
    async def play() -> None:
        async with world() as made:
            cell = on(made, "lua")
            await cell("keep")
            bomb = asyncio.ensure_future(made.session.run('probe.echo(1) string.find(("a"):rep(40), ("a*"):rep(25) .. "b")'))
            await script_runs(made, "lua")
            started = time.monotonic()
            made.session.interrupt()
            outcome = await bomb
            assert time.monotonic() - started < 0.5
            assert isinstance(outcome.error, Interrupted)
            assert "the lua state 'main' was lost with its variables" in outcome.error.message
            assert [event.reason for event in made.events(WorkerWasLost)] == ["signal SIGKILL"]
            assert (await cell("kept")).values in ([None], [])

    asyncio.run(play())


# ------------------------------------------------------------------------------------------------------------ loss


@every_engine
def test_a_worker_killed_in_a_cell_is_told_and_the_next_cell_works_soon(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            cell = on(made, engine)
            waiting = asyncio.ensure_future(cell("hang"))
            await made.probe.waiting.wait()
            worker = made.session.states["main", engine].worker
            assert worker is not None
            os.kill(worker.pid, signal.SIGKILL)
            async with asyncio.timeout(2):
                outcome = await waiting
            assert isinstance(outcome.error, WorkerLost)
            assert outcome.error.reason == "signal SIGKILL"
            assert [(event.state, event.reason) for event in made.events(WorkerWasLost)] == [("main", "signal SIGKILL")]
            assert [event.status for event in made.events(CellFinished)] == ["lost"]
            started = time.monotonic()
            assert (await cell("echo")).error is None
            assert time.monotonic() - started < 2

    asyncio.run(play())


@every_engine
def test_closing_the_session_leaves_no_process(engine: str) -> None:
    async def play() -> list[int]:
        async with world() as made:
            cell = on(made, engine)
            await cell("echo")
            await cell("echo", state="b")
            return made.session.worker_pids

    pids = asyncio.run(play())
    assert len(pids) == 3
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


# ------------------------------------------------------------------------------------------------------------ output


@every_engine
def test_a_flood_of_output_is_capped_with_one_notice_and_the_cell_ends(engine: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(output_bytes=100_000)) as made, asyncio.timeout(30):
            outcome = await on(made, engine)("flood")
            assert outcome.error is None
            assert 100_000 < len(made.sink.text("stdout")) <= 110_000
            assert made.sink.text("stderr").count("output over 100000 bytes is not shown") == 1

    asyncio.run(play())


@every_engine
def test_prints_and_displays_appear_in_the_order_of_the_script(engine: str) -> None:
    async def play() -> Recording:
        async with world() as made:
            assert (await on(made, engine)("print and call")).error is None
            return made.sink

    got = asyncio.run(play()).got
    assert got == [item for number in range(1, 51) for item in (("stdout", f"before {number}\n"), ("shown", Data(number)))]


# ------------------------------------------------------------------------------------------------------------ resources and callbacks


@every_engine
def test_a_resource_is_released_once_at_the_end_of_its_loop(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            assert (await on(made, engine)("iterate")).values == [10]
            assert [ticker.released for ticker in made.probe.tickers] == [1]
            await made.session.close()
            assert [ticker.released for ticker in made.probe.tickers] == [1]

    asyncio.run(play())


@every_engine
def test_a_closed_resource_cannot_be_used(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            cell = on(made, engine)
            await cell("break out")
            assert flat(await cell("close")) == [False, "resource"]
            assert flat(await cell("use")) == [False, "resource"]
            assert [ticker.released for ticker in made.probe.tickers] == [1]

    asyncio.run(play())


@every_engine
def test_a_resource_left_open_is_released_once_with_its_state(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            await on(made, engine)("break out")
            await made.session.forget("main", engine)
            await made.session.close()
            assert [ticker.released for ticker in made.probe.tickers] == [1]

    asyncio.run(play())


@every_engine
def test_a_function_of_the_script_is_called_while_its_cell_waits(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            cell = on(made, engine)
            assert (await cell("apply")).values == [42]
            ok, message = flat(await cell("apply failing"))
            assert ok is False
            assert "in it" in message

    asyncio.run(play())


@every_engine
def test_a_function_called_after_its_cell_fails_clearly_and_the_state_lives(engine: str) -> None:
    async def play() -> None:
        async with world() as made, asyncio.timeout(10):
            cell = on(made, engine)
            await cell("keep callback")
            assert made.probe.context is not None
            assert made.probe.callback is not None
            with pytest.raises(ScriptError, match="while the cell that gave it waits"):
                await made.probe.context.invoke(made.probe.callback)
            assert (await cell("apply")).values == [42]

    asyncio.run(play())


# ------------------------------------------------------------------------------------------------------------ several states


@every_engine
def test_what_became_of_a_state_is_told_with_its_language(engine: str) -> None:
    """Two languages may each have a state of the same name, and what happens outside any cell has no cell to tell which it is."""

    async def play() -> None:
        async with world(limits=LIMITS._replace(history_bytes=1_000_000)) as made:
            cell = on(made, engine)
            await cell("break out")
            await cell("close")
            worker = made.session.states["main", engine].worker
            assert worker is not None
            gone = asyncio.Event()
            worker.on_lost[-1] = gone.set
            os.kill(worker.pid, signal.SIGKILL)
            await gone.wait()
            await made.session.set("kept", 1, engine=engine)
            (lost,), (restored,) = made.events(WorkerWasLost), made.events(StateRestored)
            closed = made.events(ResourceClosed)[0]
            assert [(event.engine, event.state) for event in (lost, restored, closed)] == [(engine, "main")] * 3
            assert lost.cell == 0
            assert f"  {engine} 'main': worker lost: " in trace_text(made.events())
            assert f"  {engine} 'main': state restored: 2 cells" in trace_text(made.events())

    asyncio.run(play())


@every_engine
def test_two_states_run_at_the_same_time_and_share_nothing(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            cell = on(made, engine)
            await cell("keep", state="a")
            waiting = asyncio.ensure_future(cell("hang", state="a"))
            await made.probe.waiting.wait()
            assert (await cell("kept", state="b", inputs={"kept": 6})).values == [6]
            assert not waiting.done()
            made.session.interrupt()
            assert isinstance((await waiting).error, Interrupted)
            assert (await cell("kept", state="a")).values == [5]

    asyncio.run(play())


@every_engine
def test_a_second_cell_in_a_busy_state_is_refused_and_the_first_goes_on(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            cell = on(made, engine)
            stop = stop_after_call(made)
            waiting = asyncio.ensure_future(cell("hang"))
            await made.probe.waiting.wait()
            refused = await cell("echo")
            assert isinstance(refused.error, ScriptError)
            assert "busy" in refused.error.message
            await stop()
            assert isinstance((await waiting).error, Interrupted)
            assert made.probe.calls == []

    asyncio.run(play())


def test_a_spare_killed_unseen_costs_the_next_state_nothing() -> None:
    async def play() -> None:
        async with world() as made:
            made.session.warm()
            spare = made.session._pool._spares[0]
            assert spare is not None
            select.select([spare._process.control], [], [], 10)  # it has said that it is ready, and nobody has read that yet
            os.kill(spare.pid, signal.SIGKILL)
            outcome = await made.session.run("", engine=ENGINES[0])
            assert outcome.error is None
            assert made.events(WorkerWasLost) == []

    asyncio.run(play())
