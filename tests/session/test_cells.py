"""A cell from its start to its outcome, without a process: order, limits, stops, lost and hostile workers."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from llmspell_kernel import Context, method
from llmspell_kernel.errors import Interrupted, LimitError, RemoteProtocolError, ScriptError, SpellError, ValueCrossingError, WorkerLost
from llmspell_kernel.journal.events import CallFailed, CallFinished, CellFinished, CellStarted, WorkerWasLost
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.protocol.steps import Failed, Fault, Finished, Place, Returned, Step, Suspended
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.shown import Shown
from llmspell_kernel.testing.fake_worker import Busy, Dies, FakePool, FakeWorker, Printed
from llmspell_kernel.values import Callback

from .test_effects import answers, asks, effect
from .world import LIMITS, Probe, World, stop_after_call, world

STOPPED = Failed(Fault("interrupted", "stopped"))


def values(text: bytes) -> Finished:
    return Finished(msgspec.Raw(text))


def run(*scripts: Any, limits: Any = LIMITS, probe: Probe | None = None, **more: Any) -> tuple[World, ExecutionResult]:
    """One cell in a world of fakes."""

    async def play() -> tuple[World, ExecutionResult]:
        async with world(*scripts, limits=limits, probe=probe) as made, asyncio.timeout(20):
            return made, await made.session.run("the code", **more)

    return asyncio.run(play())


# ------------------------------------------------------------------------------------------------------------ ends


def test_the_results_of_a_cell_are_its_outcome() -> None:
    done, outcome = run([values(b'[1,2.0,"x",null,{"$":["f",3]}]')], chunk="cell[4]", line_offset=2)
    assert outcome.values == [1, 2.0, "x", None, Callback(3)]
    assert outcome.error is None
    assert done.fake.of("begin") == [(1, "\n\nthe code", "cell[4]")]
    (started,) = done.events(CellStarted)
    (finished,) = done.events(CellFinished)
    assert (started.cell, started.engine, started.state, started.chunk) == (outcome.cell, "lua", "main", "cell[4]")
    assert (finished.cell, finished.status, finished.error) == (outcome.cell, "ok", "")


def test_a_fault_of_the_script_is_the_outcomes_error_with_its_places() -> None:
    done, outcome = run([Failed(Fault("script", "boo", "TypeError", [Place("cell[1]", 3, 7, "f")]))])
    error = outcome.error
    assert isinstance(error, ScriptError)
    assert (error.message, error.name, error.engine) == ("boo", "TypeError", "lua")
    assert [tuple(frame) for frame in error.frames] == [("cell[1]", 3, 7, "f")]
    assert [(event.status, event.error) for event in done.events(CellFinished)] == [("error", "boo")]


def test_inputs_are_set_before_and_outputs_read_after() -> None:
    script = FakeWorker([Finished()], replies={("get", "out"): b'{"rows":[1]}'})
    done, outcome = run(script, inputs={"a": 1, "b": [b"\0"]}, outputs=["out", "nothing"])
    assert outcome.outputs == {"out": {"rows": [1]}, "nothing": None}
    assert [name for name, _ in done.fake.calls if name in ("query", "begin")] == ["query", "query", "begin", "query", "query"]
    assert done.fake.of("query")[:2] == [(1, "set", "a", b"1"), (1, "set", "b", b'[{"$":["b","AA=="]}]')]


def test_an_input_that_cannot_cross_is_the_cells_error_and_the_code_does_not_run() -> None:
    done, outcome = run([], inputs={"rows": [{"when": object()}]})
    assert isinstance(outcome.error, ValueCrossingError)
    assert outcome.error.path.endswith("[0].when")
    assert not done.fake.of("begin")
    assert len(done.events(CellFinished)) == 1


def test_an_output_that_cannot_cross_is_the_cells_error_and_the_state_goes_on() -> None:
    async def play() -> None:
        fake = FakeWorker([Finished(), Finished()], replies={("get", "f"): Fault("value", "a function cannot cross")})
        async with world(fake) as made:
            outcome = await made.session.run("x", outputs=["f"])
            assert isinstance(outcome.error, ValueCrossingError)
            assert (await made.session.run("y")).error is None
            assert len(made.fake.of("open")) == 1

    asyncio.run(play())


def test_an_engine_that_is_not_there_is_an_error_naming_those_that_are() -> None:
    async def play() -> None:
        async with world([]) as made:
            with pytest.raises(SpellError, match="did you mean 'lua'"):
                await made.session.run("x", engine="lu")
            assert made.events() == []

    asyncio.run(play())


def test_a_state_that_cannot_open_is_the_cells_error_and_leaves_no_worker() -> None:
    done, outcome = run(FakeWorker(refusal=Fault("internal", "cannot open a lua state")))
    assert outcome.error is not None
    assert "cannot open a lua state" in outcome.error.message
    assert not done.fake.alive


def test_a_worker_that_does_not_start_is_the_cells_error() -> None:
    done, outcome = run(FakeWorker(missing="it did not start within 10 s"))
    assert isinstance(outcome.error, WorkerLost)
    assert "did not start within 10 s" in outcome.error.message
    assert [event.status for event in done.events(CellFinished)] == ["lost"]


# ------------------------------------------------------------------------------------------------------------ output


def test_what_is_printed_comes_before_the_calls_that_follow_it() -> None:
    done, _ = run([Printed("stdout", "a"), asks(effect(1, "echo")), Printed("stderr", "b"), Printed("stdout", "c"), Finished()])
    assert done.sink.got == [("stdout", "a"), ("stderr", "b"), ("stdout", "c")]


CAP = LIMITS._replace(output_bytes=10)
NOTICE = "\n[output over 10 bytes is not shown, but for its end]\n"


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (["0123456789"], "0123456789"),
        (["01234567890"], "0123456789"),
        (["01234", "56789", "x"], "0123456789"),
        (["0123456", "789abc", "x", "y"], "0123456789"),
        (["ééééé"], "ééééé"),
        (["xééééé"], "xéééé"),
        (["a" * 1_000_000] * 3, "a" * 10),
    ],
)
def test_output_is_shown_up_to_the_cap_in_bytes_then_one_notice_and_its_end(printed: list[str], shown: str) -> None:
    done, outcome = run([*[Printed("stdout", text) for text in printed], Finished()], limits=CAP)
    assert outcome.error is None
    at_notice = next((at for at, (_, text) in enumerate(done.sink.got) if text == NOTICE), None)
    assert "".join(text for _, text in done.sink.got[:at_notice]) == shown
    assert (at_notice is None) == ("".join(printed) == shown)
    tail = "" if at_notice is None else "".join(text for stream, text in done.sink.got[at_notice:] if stream == "stdout")
    assert "".join(printed).endswith(tail)
    assert len(tail.encode()) <= 1  # a tenth of the cap


def test_the_output_cap_counts_anew_in_each_cell() -> None:
    async def play() -> None:
        async with world([Printed("stdout", "a" * 20), Finished(), Printed("stdout", "b"), Finished()], limits=CAP) as made:
            await made.session.run("x")
            await made.session.run("y")
            assert made.sink.text("stdout") == "a" * 11 + "b"

    asyncio.run(play())


class BrokenSink:
    def write(self, stream: str, text: str) -> None:
        raise BrokenPipeError("nobody reads")

    def show(self, shown: Shown, null: str) -> int:
        return 0

    def clear(self) -> None: ...


def test_a_sink_that_breaks_ends_the_cell_with_its_error() -> None:
    async def play() -> None:
        async with world([Printed("stdout", "a"), Busy(), STOPPED]) as made, asyncio.timeout(5):
            with pytest.raises(BrokenPipeError):
                await made.session.run("x", sink=BrokenSink())
            assert [event.status for event in made.events(CellFinished)] == ["error"]

    asyncio.run(play())


# ------------------------------------------------------------------------------------------------------------ limits


def test_a_script_over_its_time_is_stopped_and_named_with_its_limit() -> None:
    done, outcome = run([Busy(), STOPPED], limits=LIMITS._replace(script_time_s=0.05))
    assert isinstance(outcome.error, LimitError)
    assert (outcome.error.limit, outcome.error.value) == ("script_time_s", 0.05)
    assert "0.05 s" in outcome.error.message
    assert done.fake.of("stop")
    assert not done.fake.of("lose")


def test_a_deaf_script_over_its_time_is_killed_and_the_error_says_what_was_lost() -> None:
    done, outcome = run([Busy(deaf=True)], limits=LIMITS._replace(script_time_s=0.05, stop_grace_s=0.05))
    assert isinstance(outcome.error, LimitError)
    assert outcome.error.limit == "script_time_s"
    assert "the lua state 'main' was lost with its variables" in outcome.error.message
    assert len(done.events(WorkerWasLost)) == 1


def test_the_total_time_also_counts_waiting() -> None:
    done, outcome = run([asks(effect(1, "hang")), STOPPED], limits=LIMITS._replace(total_time_s=0.1))
    assert isinstance(outcome.error, LimitError)
    assert (outcome.error.limit, outcome.error.value) == ("total_time_s", 0.1)
    assert done.probe.cancelled == 1


def test_waiting_for_effects_is_not_script_time() -> None:
    script = [*[asks(effect(number, "wait", 0.1)) for number in (1, 2, 3)], Finished()]
    _, outcome = run(script, limits=LIMITS._replace(script_time_s=0.2))
    assert outcome.error is None


def test_script_time_adds_up_over_the_steps_of_a_cell() -> None:
    script = [Busy(seconds=0.2), asks(effect(1, "echo")), Busy(), STOPPED]
    started = time.monotonic()
    _, outcome = run(script, limits=LIMITS._replace(script_time_s=0.3))
    assert isinstance(outcome.error, LimitError)
    assert time.monotonic() - started < 0.48


# ------------------------------------------------------------------------------------------------------------ stops


def test_a_stop_while_waiting_cancels_the_call_and_keeps_the_state() -> None:
    async def play() -> None:
        async with world([asks(effect(1, "hang")), STOPPED, values(b"[1]")]) as made:
            outcome, _ = await asyncio.gather(made.session.run("x"), stop_after_call(made)())
            assert isinstance(outcome.error, Interrupted)
            assert made.probe.cancelled == 1
            assert [(event.code, event.cancelled) for event in made.events(CallFailed)] == [("cancelled", True)]
            assert [event.status for event in made.events(CellFinished)] == ["interrupted"]
            assert made.names()[-1] == "CellFinished"
            assert (await made.session.run("y")).values == [1]
            assert len(made.fake.of("open")) == 1
            assert not made.events(WorkerWasLost)

    asyncio.run(play())


def test_a_stop_leaves_no_kill_behind_for_the_next_cell() -> None:
    async def play() -> None:
        limits = LIMITS._replace(stop_grace_s=0.05)
        async with world([asks(effect(1, "hang")), STOPPED, asks(effect(2, "wait", 0.15)), Finished()], limits=limits) as made:
            await asyncio.gather(made.session.run("x"), stop_after_call(made)())
            assert (await made.session.run("y")).error is None
            assert made.fake.alive

    asyncio.run(play())


def test_a_waiting_script_that_does_not_stop_when_asked_is_killed() -> None:
    async def play() -> None:
        async with world([asks(effect(1, "hang")), Busy(deaf=True)], limits=LIMITS._replace(stop_grace_s=0.05)) as made, asyncio.timeout(5):
            outcome, _ = await asyncio.gather(made.session.run("x"), stop_after_call(made)())
            assert isinstance(outcome.error, Interrupted)
            assert "was lost" in outcome.error.message
            assert not made.fake.alive

    asyncio.run(play())


def test_a_script_that_answers_a_stop_with_more_effects_gets_none_done_and_is_killed() -> None:
    async def play() -> None:
        more = [asks(effect(number, "echo")) for number in range(2, 100_000)]
        async with world([asks(effect(1, "hang")), *more], limits=LIMITS._replace(stop_grace_s=0.05)) as made, asyncio.timeout(10):
            outcome, _ = await asyncio.gather(made.session.run("x"), stop_after_call(made)())
            assert isinstance(outcome.error, Interrupted)
            assert made.probe.calls == []
            assert not made.fake.alive
            assert [event.reason for event in made.events(WorkerWasLost)] == ["signal SIGKILL"]

    asyncio.run(play())


def test_a_stop_before_the_code_runs_is_not_missed() -> None:
    async def play() -> None:
        async with world([Finished()]) as made:
            cell = asyncio.ensure_future(made.session.run("x"))
            await asyncio.sleep(0)
            made.session.interrupt()
            outcome = await cell
            assert isinstance(outcome.error, Interrupted)
            assert not made.fake.of("begin")
            assert (await made.session.run("y")).error is None

    asyncio.run(play())


def test_a_stop_with_nothing_running_does_nothing() -> None:
    async def play() -> None:
        async with world([Finished(), Finished()], limits=LIMITS._replace(stop_grace_s=0)) as made:
            await made.session.run("x")
            made.session.interrupt()
            await asyncio.sleep(0)
            assert (await made.session.run("y")).error is None

    asyncio.run(play())


def test_a_cancelled_cell_is_journaled_as_stopped_and_its_script_does_not_go_on() -> None:
    async def play() -> None:
        async with world([asks(effect(1, "hang")), Finished()]) as made:
            cell = asyncio.ensure_future(made.session.run("x"))
            await made.probe.waiting.wait()
            cell.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cell
            assert made.probe.cancelled == 1
            assert not made.fake.alive
            assert [event.status for event in made.events(CellFinished)] == ["interrupted"]

    asyncio.run(play())


# ------------------------------------------------------------------------------------------------------------ lost and hostile workers


def test_a_lost_worker_is_told_and_journaled_and_the_next_cell_gets_a_new_state() -> None:
    async def play() -> None:
        async with world([Dies("signal SIGSEGV")], [values(b"[2]")]) as made:
            outcome = await made.session.run("x")
            assert isinstance(outcome.error, WorkerLost)
            assert outcome.error.reason == "signal SIGSEGV"
            assert "the next cell gets a new one" in outcome.error.message
            assert [(event.state, event.reason) for event in made.events(WorkerWasLost)] == [("main", "signal SIGSEGV")]
            assert [event.status for event in made.events(CellFinished)] == ["lost"]
            assert (await made.session.run("y")).values == [2]
            numbers = [fake.of("open")[0][0] for fake in made.fakes]
            assert len(set(numbers)) == 2

    asyncio.run(play())


def test_a_worker_lost_while_its_cell_waits_ends_the_cell_at_once() -> None:
    async def play() -> None:
        async with world([asks(effect(1, "hang"))]) as made, asyncio.timeout(5):
            cell = asyncio.ensure_future(made.session.run("x"))
            await made.probe.waiting.wait()
            made.fake.kill()
            assert isinstance((await cell).error, WorkerLost)
            assert made.probe.cancelled == 1

    asyncio.run(play())


@pytest.mark.parametrize(
    "step",
    [
        values(b"7"),
        values(b'{"a":1}'),
        values(b'[{"$":["zz"]}]'),
        values(b'[{"$":["f",true]}]'),
        values(b"[" * 70 + b"]" * 70),
        values(b'["\\ud800"]'),
        values(b"null"),
    ],
    ids=lambda step: bytes(step.values)[:12].decode(),
)
def test_results_that_are_no_values_are_one_clear_error_and_the_session_goes_on(step: Step) -> None:
    async def play() -> None:
        async with world([step, values(b"[1]")], [values(b"[1]")]) as made:
            outcome = await made.session.run("x")
            assert isinstance(outcome.error, SpellError)
            assert outcome.values == []
            assert len(made.events(CellFinished)) == 1
            assert (await made.session.run("y")).values == [1]

    asyncio.run(play())


@pytest.mark.parametrize(
    "steps",
    [
        [Suspended()],
        [asks(effect(1, "echo"), effect(1, "echo"))],
        [asks(effect(2, "echo")), asks(effect(1, "echo"))],
        [Suspended([effect(1, "echo")], abandoned=[7])],
        [Suspended([effect(1, "echo")], [Returned(5)])],
    ],
)
def test_a_worker_that_breaks_the_protocol_is_lost_with_its_reason(steps: list[Step]) -> None:
    done, outcome = run(steps)
    assert isinstance(outcome.error, WorkerLost)
    assert "it broke the protocol" in outcome.error.message
    assert not done.fake.alive
    assert len(done.events(WorkerWasLost)) == 1


def test_faults_a_script_makes_up_are_never_ours_or_a_crash() -> None:
    for code in ("", "denied", "limit", "interrupted", "bridge", "worker_lost", "protocol", "x" * 1000, "\0"):
        _, outcome = run([Failed(Fault(code, "m", "\x1b[31m", [Place("", -5, 2**70, "")]))])
        assert isinstance(outcome.error, SpellError)
        assert not isinstance(outcome.error, (WorkerLost, RemoteProtocolError))


# ------------------------------------------------------------------------------------------------------------ callbacks


def test_a_callback_invoked_after_its_cell_fails_clearly() -> None:
    async def play() -> None:
        async with world([asks(effect(1, "keep", Callback(4))), Finished()]) as made, asyncio.timeout(5):
            assert (await made.session.run("x")).error is None
            assert made.probe.context is not None
            assert made.probe.callback == Callback(4)
            with pytest.raises(ScriptError, match="while the cell that gave it waits"):
                await made.probe.context.invoke(made.probe.callback)
            assert made.fake.alive

    asyncio.run(play())


def test_a_callback_invoked_while_no_cell_runs_fails_clearly() -> None:
    async def play() -> None:
        async with world([]) as made, asyncio.timeout(5):
            with pytest.raises(ScriptError, match="while the cell"):
                await made.session.call_bridge("probe", "apply", Callback(1))

    asyncio.run(play())


@pytest.mark.parametrize(
    ("returned", "code"),
    [
        (Returned(1, msgspec.Raw(b"[41]")), ""),
        (Returned(1, fault=Fault("script", "in the callback")), "script"),
        (Returned(1, msgspec.Raw(b'{"$":["zz"]}')), "value"),
    ],
)
def test_what_a_callback_returns_or_raises_comes_back_to_the_bridge(returned: Returned, code: str) -> None:
    done, outcome = run([asks(effect(1, "apply", Callback(3), 40)), Suspended(returned=[returned]), Finished()])
    assert outcome.error is None
    ((_, _, invocations),) = [call for call in done.fake.of("resume") if call[2]]
    assert [(call.id, call.callback, bytes(call.args)) for call in invocations] == [(1, 3, b"[40]")]  # type: ignore[attr-defined]
    fault = answers(done.fake)[1].fault
    assert (fault.code if fault else "") == code


# ------------------------------------------------------------------------------------------------------------ several states, questions, the end


def test_a_second_cell_in_a_busy_state_is_refused_and_the_first_goes_on() -> None:
    async def play() -> None:
        async with world([asks(effect(1, "hang")), STOPPED]) as made:
            first = asyncio.ensure_future(made.session.run("x"))
            await made.probe.waiting.wait()
            second = await made.session.run("y")
            assert isinstance(second.error, ScriptError)
            assert "the lua state 'main' is busy" in second.error.message
            assert len(made.fake.of("begin")) == 1
            made.session.interrupt()
            assert isinstance((await first).error, Interrupted)

    asyncio.run(play())


def test_two_states_run_at_the_same_time() -> None:
    async def play() -> None:
        async with world([asks(effect(1, "hang")), STOPPED], [values(b"[2]")]) as made:
            first = asyncio.ensure_future(made.session.run("x", state="a"))
            await made.probe.waiting.wait()
            assert (await made.session.run("y", state="b")).values == [2]
            assert not first.done()
            made.session.interrupt()
            await first
            assert set(made.session.states) == {("a", "lua"), ("b", "lua")}

    asyncio.run(play())


def test_a_question_asked_while_a_cell_waits_does_not_disturb_its_next_step() -> None:
    """The answer of an effect arrives while the worker still has a question to answer."""

    answered = asyncio.Event()

    class Held(Probe):
        """Waits for the test."""

        go = asyncio.Event()

        @method
        async def wait(self, ctx: Context, seconds: float) -> None:
            """Waits until the question is under way."""
            self.called.set()
            await self.go.wait()

    class Slow(FakeWorker):
        async def query(self, state: int, kind: Any, text: str, value: Any = b"null") -> bytes:
            answer = await super().query(state, kind, text, value)
            Held.go.set()
            await answered.wait()
            return answer

    async def play() -> None:
        fake = Slow([asks(effect(1, "wait", 0)), values(b"[1]")], replies={("members", ""): b'[["x","number"]]'})
        async with world(fake, probe=Held()) as made, asyncio.timeout(5):
            made.session.recorder.listen(lambda event: answered.set() if isinstance(event, CallFinished) else None)
            cell = asyncio.ensure_future(made.session.run("x"))
            await made.probe.called.wait()
            assert await made.session.ask("members", "", engine="lua") == [["x", "number"]]
            assert (await cell).values == [1]

    asyncio.run(play())


def test_a_question_nobody_answers_loses_the_worker() -> None:
    class Mute(FakeWorker):
        async def query(self, state: int, kind: Any, text: str, value: Any = b"null") -> bytes:
            self._check_alive()
            await self._end.wait()
            self._check_alive()
            raise AssertionError

    async def play() -> None:
        async with world(Mute([Finished()]), workers=WorkerPolicy(query_s=0.05)) as made, asyncio.timeout(5):
            await made.session.run("x")
            with pytest.raises(WorkerLost, match="did not answer a question"):
                await made.session.get("x", engine="lua")
            assert not made.fake.alive

    asyncio.run(play())


def test_closing_a_session_twice_closes_each_bridge_once() -> None:
    async def play() -> None:
        async with world([asks(effect(1, "echo")), Finished()]) as made:
            await made.session.run("x")
            await made.session.close()
            await made.session.close()
            assert made.probe.closed == 1
            assert not made.fake.alive
            outcome = await made.session.run("y")
            assert isinstance(outcome.error, WorkerLost)
            assert "closed" in outcome.error.message

    asyncio.run(play())


def test_a_bridge_that_fails_to_close_does_not_keep_the_workers_alive() -> None:
    told: list[dict[str, Any]] = []

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        probe = Probe()
        probe.close_error = OSError("stuck")
        async with world([asks(effect(1, "echo")), Finished()], probe=probe) as made:
            await made.session.run("x")
            await made.session.close()
            assert not made.fake.alive

    asyncio.run(play())
    assert "the bridge 'probe' failed to close" in told[0]["message"]


def test_closing_a_session_ends_the_cell_that_runs() -> None:
    async def play() -> None:
        async with world([asks(effect(1, "hang")), Busy(deaf=True)]) as made, asyncio.timeout(5):
            cell = asyncio.ensure_future(made.session.run("x"))
            await made.probe.waiting.wait()
            await made.session.close()
            assert isinstance((await cell).error, Interrupted)
            assert made.probe.cancelled == 1

    asyncio.run(play())


def test_a_session_without_a_running_cell_needs_no_worker() -> None:
    async def play() -> None:
        pool = FakePool()
        session = Session(pool=pool)
        assert await session.ask("members", "", engine="lua") is None
        await session.close()
        assert pool.workers == []

    asyncio.run(play())
