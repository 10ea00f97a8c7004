"""`llmspell_kernel.run` and `run_async`: what a script gives, and wrong calls that raise."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import llmspell_kernel
from llmspell_kernel import (
    ArgumentError,
    Bridge,
    BridgeError,
    ConfigError,
    Context,
    DeniedError,
    LimitError,
    LoadError,
    ScriptError,
    Session,
    Settings,
    errors,
    method,
    run,
    run_async,
)
from llmspell_kernel.journal.events import CellStarted, Logged

ENGINES = ("lua", "javascript")
CODE = {
    "lua": {
        "all": "print(params.topic) out = n * 2 return llm.chat(params.topic)",
        "shout": "return shout.loud('hi')",
        "fail": "x = 1\nerror('too bad')",
        "random": "return math.random()",
        "several": "return 1, 'a'",
    },
    "javascript": {
        "all": "console.log(params.topic); var out = n * 2; await llm.chat(params.topic)",
        "shout": "await shout.loud('hi')",
        "fail": "let x = 1\nthrow new Error('too bad')",
        "random": "Math.random()",
        "several": "[1, 'a']",
    },
}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")


class Shout(Bridge):
    """Loud words."""

    name = "shout"

    @method
    async def loud(self, ctx: Context, text: str) -> str:
        """The text in capitals."""
        return text.upper()

    @method
    async def pay(self, ctx: Context, cost_usd: float | None = None) -> None:
        """Uses a model at that price."""
        ctx.usage(model="shouter", input_tokens=3, output_tokens=1, cost_usd=cost_usd)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", ["run", "run_async"])
def test_a_script_gets_inputs_and_params_and_gives_value_and_outputs(engine: str, way: str) -> None:
    given: dict[str, Any] = {"engine": engine, "inputs": {"n": 21}, "outputs": ["out"], "params": {"topic": "tea"}}
    code = CODE[engine]["all"]
    result = run(code, **given) if way == "run" else asyncio.run(run_async(code, **given))
    result.raise_for_error()
    assert (result.value, result.outputs, result.output.stdout) == ("echo: tea", {"out": 42}, "tea\n")
    assert result.usage.by_model.keys() == {"spell/echo"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bridge_of_ones_own_is_there(engine: str) -> None:
    assert run(CODE[engine]["shout"], engine=engine, bridges=[Shout()]).value == "HI"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fault_of_the_script_is_the_results_error(engine: str) -> None:
    result = run(CODE[engine]["fail"], engine=engine)
    assert isinstance(result.error, ScriptError) and "too bad" in result.error.message
    assert (result.error.frames[0].chunk, result.error.frames[0].line) == ("script", 2)
    with pytest.raises(ScriptError, match="too bad"):
        result.raise_for_error()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_is_run_by_its_ending(engine: str, tmp_path: Path) -> None:
    path = tmp_path / {"lua": "spell.lua", "javascript": "spell.js"}[engine]
    path.write_text(CODE[engine]["fail"])
    assert run(path).error.frames[0].chunk == path.name  # type: ignore[union-attr]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_seed_makes_the_random_numbers_repeat(engine: str) -> None:
    values = [run(CODE[engine]["random"], engine=engine, settings=Settings(seed=seed)).value for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


def test_several_lua_results_are_a_tuple() -> None:
    assert run(CODE["lua"]["several"], engine="lua").value == (1, "a")
    assert run(CODE["javascript"]["several"], engine="javascript").value == [1, "a"]


def test_params_is_there_without_parameters() -> None:
    assert run("return params.topic == nil", engine="lua").value is True


def test_a_model_is_chosen_for_the_calls_that_name_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/scripted")
    assert run("return llm.chat('hi')", engine="lua", model="spell/echo").value == "echo: hi"


@pytest.mark.parametrize("engine", ENGINES)
def test_what_models_used_is_summed_by_model_and_an_unknown_price_is_an_unknown_cost(engine: str) -> None:
    wait = "" if engine == "lua" else "await "
    known = run(f"{wait}shout.pay(0.5); {wait}shout.pay(0.25)", engine=engine, bridges=[Shout()]).raise_for_error()
    assert (known.cost, known.usage.by_model["shouter"].calls, known.usage.input_tokens) == (0.75, 2, 6)
    mixed = run(f"{wait}shout.pay(0.5); {wait}shout.pay(); {wait}llm.chat('hi')", engine=engine, bridges=[Shout()]).raise_for_error()
    assert mixed.cost is None and mixed.usage.by_model["shouter"].cost_usd is None and mixed.usage.by_model["spell/echo"].cost_usd == 0.0


def test_scripted_answers_cost_what_they_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "answers.json"
    script.write_text('[{"text": "one"}, {"text": "two", "usage": {"input_tokens": 3, "output_tokens": 4, "cost_usd": 0.5}}]')
    monkeypatch.setenv("LLMSPELL_SCRIPT", str(script))
    result = run("return llm.chat('a'), llm.chat('b')", engine="lua", model="spell/scripted").raise_for_error()
    assert result.value == ("one", "two") and result.cost == 0.5
    assert result.usage.by_model["spell/scripted"].calls == 2


def test_settings_are_those_of_the_folder_unless_given(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_text('engine = "lua"\n[grants]\ndeny = ["llm.*"]\n')
    assert isinstance(run("return llm.chat('hi')").error, DeniedError)
    assert run("return llm.chat('hi')", engine="lua", settings=Settings()).value == "echo: hi"
    (tmp_path / "llmspell.toml").write_text('engin = "lua"\n')
    with pytest.raises(ConfigError, match="llmspell.toml, line 1, column 1, key 'engin': there is no such setting; did you mean 'engine'?"):
        run("return 1")


def test_the_session_can_be_watched_and_stopped_from_outside() -> None:
    events: list[Any] = []

    async def go() -> Any:
        def opened(session: Session) -> None:
            session.recorder.listen(events.append)
            session.recorder.listen(lambda event: session.interrupt() if isinstance(event, Logged) else None)

        return await run_async("log.info('started') while true do end", engine="lua", on_open=opened)

    assert asyncio.run(go()).error.code == "interrupted"
    assert isinstance(events[0], CellStarted)


def test_a_timeout_is_a_limit() -> None:
    result = run("sleep(30)", engine="lua", timeout_s=0.2)
    assert isinstance(result.error, LimitError)


@pytest.mark.parametrize(("engine", "code"), [("lua", 'return llm.chat(("x"):rep(2000))'), ("javascript", 'llm.chat("x".repeat(2000))')])
def test_a_value_that_is_too_large_is_told_with_the_limit_that_it_is_larger_than(engine: str, code: str) -> None:
    error = run(code, engine=engine, settings=Settings(model="spell/echo", limits={"value_bytes": 1_000})).error
    assert error is not None and "the value is larger than limits.value_bytes, 1000 bytes" in error.message


def test_run_in_a_running_event_loop_tells_what_to_write() -> None:
    async def go() -> None:
        run("return 1", engine="lua")

    with pytest.raises(RuntimeError, match=r"while an event loop runs, as in a notebook; write: result = await run_async"):
        asyncio.run(go())


@pytest.mark.parametrize(
    ("code", "given", "kind", "said"),
    [
        ("return 1", {}, ConfigError, "language is not known; name it as in --engine lua"),
        ("return 1", {"engine": "luau"}, ConfigError, "did you mean 'lua'"),
        ("spell.lua", {"engine": "lua"}, ConfigError, r"pass Path\('spell.lua'\)"),
        ("return 1", {"engine": "lua", "model": "spell/ekko"}, ConfigError, "key 'model': unknown model 'spell/ekko'; did you mean"),
        ("return 1", {"engine": "lua", "timeout_s": 0}, ConfigError, "timeout_s must be more than 0"),
        (Path("nowhere.lua"), {}, LoadError, "^nowhere.lua: cannot read the script"),
        (Path("spell.txt"), {}, ConfigError, r"\.lua"),
    ],
)
def test_a_wrong_call_raises(code: Any, given: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        run(code, **given)


def test_every_public_error_is_importable_from_the_package() -> None:
    for name in ("SpellError", "LoadError", "WorkerLost", "InternalError", "Interrupted", "ProtocolError", "ValueCrossingError"):
        assert getattr(llmspell_kernel, name) is getattr(errors, name)
    assert llmspell_kernel.ArgumentError is ArgumentError and llmspell_kernel.BridgeError is BridgeError


def test_each_public_name_can_be_had_and_no_other() -> None:
    for name in llmspell_kernel.__all__:
        assert getattr(llmspell_kernel, name) is not None
    with pytest.raises(AttributeError):
        llmspell_kernel.annotations_of_errors  # noqa: B018
    assert not hasattr(llmspell_kernel, "PlacedError")


@pytest.mark.parametrize(
    ("engine", "code"),
    [
        ("lua", "async.background(function() sleep(0.05) print('later') end) print('now')"),
        ("javascript", "async.background(async () => { await sleep(0.05); console.log('later') }); console.log('now')"),
    ],
)
def test_a_script_that_leaves_work_in_the_background_ends_with_it(engine: str, code: str) -> None:
    printed: list[str] = []

    class Sink:
        def write(self, stream: str, text: str) -> None:
            printed.append(text)

        def show(self, shown: Any, null: str) -> int:
            return 0

        def clear(self) -> None: ...

    run(code, engine=engine, sink=Sink()).raise_for_error()
    assert "".join(printed) == "now\nlater\n"


@pytest.mark.parametrize(
    ("engine", "file", "module", "code"),
    [
        ("lua", "words.lua", "return {one = 1}", "return require('words').one"),
        ("javascript", "words.js", "exports.one = 1", "(await require('words')).one"),
    ],
)
def test_a_script_requires_modules_from_files(tmp_path: Path, engine: str, file: str, module: str, code: str) -> None:
    (tmp_path / file).write_text(module)
    assert run(code, engine=engine, modules=[tmp_path / file]).value == 1
    with pytest.raises(LoadError, match=r"gone\.lua"):
        run(code, engine=engine, modules=["gone.lua"])
