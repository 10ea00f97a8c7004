"""What a result says: read from the journal, without pretending to know what it does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.errors import ConfigError, LimitError, ScriptError
from llmspell_kernel.journal.events import CallDenied, CallFailed, CallFinished, CallStarted, CallUsage, CellFinished, CellStarted, Logged
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.policy.limits import PRESETS, Limits
from llmspell_kernel.session import ExecutionResult, LogEntry, Session
from llmspell_kernel.session.result import Account, KeptOutput, Metrics, Output, Printed, Tokens, Usage, account
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import Opaque

from .world import ENGINES, LIMITS, Probe, Recording, world

START = CellStarted(1, 1.0, "lua", "main", "cell[1]", "x")
END = CellFinished(1, 3.0, "ok", 2.0, "", 0.5, 7)


def used(model: str, cost_usd: float | None, tokens: int = 1) -> CallUsage:
    return CallUsage(1, 2.0, 1, model, tokens, 2 * tokens, tokens // 2, cost_usd)


def result(**changed: Any) -> ExecutionResult:
    told = account([START, END])._asdict()
    return ExecutionResult(**{"cell": 1, "values": [], "error": None, "outputs": {}, "output": Output(), **told, **changed})


def test_an_account_is_what_the_events_say() -> None:
    events = [
        START,
        CallStarted(1, 1.1, 1, "llm", "chat", ["hi"]),
        Logged(1, 1.2, "warn", "hot", {"degrees": 99}),
        used("spell/echo", 0.0, 4),
        CallFinished(1, 1.3, 1, "x", 0.2),
        CallStarted(1, 1.4, 2, "timer", "sleep", [1]),
        CallFailed(1, 1.5, 2, "bridge", "no", 0.1),
        CallDenied(1, 1.6, 3, "llm", "chat", [], "denied", "no"),
        END,
    ]
    assert account(events) == Account(
        (LogEntry("warn", "hot", 1.2, {"degrees": 99}, "main"),),
        Metrics(effects=2, failed=1, denied=1, script_time_s=0.5, waiting_s=1.5, output_bytes=7),
        Usage(4, 8, 2, {"spell/echo": Tokens(1, 4, 8, 2, 0.0)}),
        0.0,
        2.0,
    )


@pytest.mark.parametrize(
    ("prices", "cost"), [([], 0.0), ([0.1, 0.2], 0.3), ([0.0], 0.0), ([None], None), ([0.1, None], None), ([None, 0.1], None)]
)
def test_the_cost_is_unknown_as_soon_as_one_price_is(prices: list[float | None], cost: float | None) -> None:
    assert account([START, *(used("m", price) for price in prices), END]).cost == cost


def test_an_unknown_price_of_one_model_leaves_the_other_models_cost_known() -> None:
    usage = account([START, used("a", 0.5), used("b", None), used("a", 0.25), END]).usage
    assert {model: (tokens.calls, tokens.cost_usd) for model, tokens in usage.by_model.items()} == {"a": (2, 0.75), "b": (1, None)}


def test_a_journal_that_dropped_the_start_makes_no_claim_about_the_cost() -> None:
    told = account([used("a", 0.5), END])
    assert (told.metrics.complete, told.cost) == (False, None)


@pytest.mark.parametrize(("values", "value"), [([], None), ([None], None), ([5], 5), ([1, "a"], (1, "a")), ([Opaque("thread")], "thread")])
def test_the_value_is_one_or_a_tuple_of_several(values: list[Any], value: Any) -> None:
    assert result(values=values).value == value


def test_raising_the_error_is_the_readers_choice() -> None:
    fine = result(values=[1])
    assert fine.raise_for_error() is fine
    with pytest.raises(ScriptError, match="boo"):
        result(error=ScriptError("boo")).raise_for_error()


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        result().cost = 0.0  # type: ignore[misc]


def test_its_text_is_one_short_line() -> None:
    assert repr(result(values=[42])) == "ExecutionResult(value=42, 0 effects, 0 tokens, cost $0.0000, 2.000 s)"
    long = repr(result(error=ScriptError("\x1b[2J" + "x" * 10_000), cost=None))
    assert "error=ScriptError('\\x1b[2Jxxx" in long and "cost unknown" in long and len(long) < 400


def test_pieces_of_one_stream_are_joined_until_the_other_speaks() -> None:
    sink = Recording()
    kept = KeptOutput(sink)
    for stream, text in (("stdout", "a"), ("stdout", "b"), ("stderr", "!"), ("stdout", "c")):
        kept.write(stream, text)
    output = kept.output()
    assert output == (Printed("stdout", "ab"), Printed("stderr", "!"), Printed("stdout", "c"))
    assert (output.stdout, output.stderr, str(output)) == ("abc", "!", "ab!c")
    assert sink.text("stdout") == "abc"


CODE = {
    "lua": {
        "talk": "print('one') eprint('two') print('three') log.info('hot', {degrees = 99}) return llm.chat('hi')",
        "unknown": "pcall(probe.fail) pcall(probe.count, 'x') pcall(timer.sleep, 0)",
        "flood": "for i = 1, 200 do print(('x'):rep(10000)) end",
        "random": "return math.random()",
        "loop": "while true do end",
        "wait": "probe.wait(30)",
    },
    "javascript": {
        "talk": "console.log('one'); console.error('two'); console.log('three'); await log.info('hot', {degrees: 99}); await llm.chat('hi')",
        "unknown": "for (const f of [() => probe.fail(), () => probe.count('x'), () => timer.sleep(0)]) { try { await f() } catch (e) {} }",
        "flood": "for (let i = 0; i < 200; i++) console.log('x'.repeat(10000))",
        "random": "Math.random()",
        "loop": "for (;;) {}",
        "wait": "await probe.wait(30)",
    },
}


def play(engine: str, name: str, limits: Limits = LIMITS, **more: Any) -> tuple[ExecutionResult, Recording]:
    async def go() -> tuple[ExecutionResult, Recording]:
        probe = Probe()
        probe.raises = ValueError("no")
        grants = Grants(deny=["timer.*"])
        async with world(probe=probe, grants=grants, limits=limits) as made:
            return await made.session.run(CODE[engine][name], engine=engine, **more), made.sink

    return asyncio.run(go())


def test_every_engine_has_code_for_these_tests() -> None:
    assert set(ENGINES) == set(CODE)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_tells_what_it_printed_logged_and_used(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")
    done, sink = play(engine, "talk", state="kitchen")
    assert done.error is None and done.value == "echo: hi"
    assert (done.output.stdout, done.output.stderr) == ("one\nthree\n", "two\n")
    assert list(done.output) == [Printed(stream, text) for stream, text in _joined(sink)]
    (entry,) = done.logs
    assert (entry.level, entry.message, entry.fields, entry.state) == ("info", "hot", {"degrees": 99}, "kitchen")
    assert done.usage.by_model.keys() == {"spell/echo"} and done.usage.output_tokens > 0 and done.cost == 0.0
    assert done.metrics.effects == 2 and done.metrics.output_bytes == len("one\ntwo\nthree\n") and done.metrics.complete
    assert 0 < done.metrics.script_time_s < done.duration_s
    assert done.metrics.waiting_s == pytest.approx(done.duration_s - done.metrics.script_time_s)


def _joined(sink: Recording) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for stream, text in sink.got:
        if found and found[-1][0] == stream:
            found[-1] = (stream, found[-1][1] + text)
        else:
            found.append((stream, text))
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_failed_and_refused_effects_are_counted_apart(engine: str) -> None:
    done, _ = play(engine, "unknown")
    assert (done.metrics.effects, done.metrics.failed, done.metrics.denied) == (1, 1, 2)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_kept_output_is_capped_as_the_sinks(engine: str) -> None:
    done, sink = play(engine, "flood")
    assert LIMITS.output_bytes <= len(str(done.output)) < LIMITS.output_bytes + 10_000
    assert done.output.stdout == sink.text("stdout") and "is not shown" in done.output.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_a_timeout_ends_the_whole_run_waiting_or_not(engine: str) -> None:
    for name in ("loop", "wait"):
        done, _ = play(engine, name, timeout_s=0.3)
        assert isinstance(done.error, LimitError) and done.error.value == pytest.approx(0.3)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_timeout_never_lengthens_the_limit(engine: str) -> None:
    done, _ = play(engine, "wait", timeout_s=10_000, limits=LIMITS._replace(total_time_s=0.3))
    assert isinstance(done.error, LimitError) and done.error.value == pytest.approx(0.3)


def test_a_timeout_must_be_a_time() -> None:
    async def go() -> None:
        async with Session(limits=LIMITS) as session:
            for wrong in (0, -1, float("nan")):
                with pytest.raises(ConfigError, match="timeout_s must be more than 0"):
                    await session.run("return 1", timeout_s=wrong)
            assert list(session.recorder) == []

    asyncio.run(go())


@pytest.mark.parametrize("engine", ENGINES)
def test_several_runs_share_a_session_and_each_counts_its_own(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")

    async def go() -> list[ExecutionResult]:
        async with Session() as session:
            done = [await session.run(CODE[engine]["talk"], engine=engine) for _ in range(2)]
            assert session.worker_pids
        assert session.worker_pids == []
        return done

    first, second = asyncio.run(go())
    assert first.metrics.effects == second.metrics.effects == 2
    assert len(second.logs) == 1 and second.output.stdout == "one\nthree\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_changed_seed_is_for_states_opened_afterwards(engine: str) -> None:
    async def go() -> list[Any]:
        async with Session(settings=Settings(seed=1)) as session:
            code = CODE[engine]["random"]
            one = (await session.run(code, engine=engine)).value
            session.configure(Settings(seed=2))
            await session.run(code, engine=engine)
            other = (await session.run(code, engine=engine, state="other")).value
            session.configure(Settings(seed=1))
            again = (await session.run(code, engine=engine, state="again")).value
            return [one, other, again]

    one, other, again = asyncio.run(go())
    assert one == again != other


def test_settings_reach_limits_grants_and_the_default_model_and_change_for_the_next_run() -> None:
    async def go() -> None:
        settings = Settings(preset="strict", limits={"effects": 2}, deny=("llm.set_model",), model="spell/scripted")
        async with Session(settings=settings) as session:
            assert session.limits == PRESETS["strict"]._replace(effects=2)
            assert (await session.run("return llm.model()")).value == "spell/scripted", "the user's choice asks for no grant"
            refused = await session.run("llm.set_model('spell/echo')")
            assert refused.error is not None and refused.error.code == "denied"
            assert (await session.run("llm.model() llm.model() llm.model()")).error is not None
            session.configure(Settings(model="spell/echo"))
            assert (await session.run("llm.model() llm.model() return llm.model()")).value == "spell/echo"
            await session.run("llm.set_model('spell/local')")
            session.configure(Settings(model="spell/echo", display="static"))
            assert (await session.run("return llm.model()")).value == "spell/local", "another change leaves the script's choice"

    asyncio.run(go())


@pytest.mark.parametrize(("settings", "said"), [(Settings(preset="strickt"), "'strict'"), (Settings(limits={"efects": 1}), "'effects'")])
def test_settings_made_in_python_with_a_wrong_name_are_refused(settings: Settings, said: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {said}"):
        Session(settings=settings)


def test_warnings_and_errors_of_the_log_are_shown_and_the_rest_is_kept() -> None:
    async def run() -> None:
        async with world() as made:
            done = await made.session.run("log.info('fine') log.warn('look') log.error('bad', {n = 1})")
            assert made.sink.text("stderr") == "[warn] look\n[error] bad\n"
            assert [(entry.level, entry.message) for entry in done.logs] == [("info", "fine"), ("warn", "look"), ("error", "bad")]

    asyncio.run(run())
