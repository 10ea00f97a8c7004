"""Limits that the host keeps, whatever a worker promises; and what a session tells of limits."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec
import pytest

from llmspell_kernel.errors import Interrupted, LimitError, ScriptError
from llmspell_kernel.journal.events import CallFinished, CallStarted, CellStarted
from llmspell_kernel.policy.limits import Limits
from llmspell_kernel.protocol.steps import Background, Effect, Failed, Fault, Finished, Suspended
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.settings import Settings

from .world import ENGINES, LIMITS, World, world

SCRIPTS = [engine for engine in ENGINES if engine in ("lua", "javascript")]


def echoes(first: int, count: int, argument: str = "1") -> list[Effect]:
    return [Effect(number, "probe", "echo", msgspec.Raw(f"[{argument}]".encode())) for number in range(first, first + count)]


def left(first: int, count: int) -> Finished:
    """A cell or slice that ends, and leaves so many calls to the background."""
    asked = echoes(first, count)
    return Finished(background=Background(effects=asked, open=[effect.id for effect in asked], tasks=["greedy"]))


def played(steps: list[Any], limits: Limits) -> tuple[World, ExecutionResult]:
    async def play() -> tuple[World, ExecutionResult]:
        async with world(steps, limits=limits) as made:
            result = await made.session.run("x")
            await made.session.background_ended()
            return made, result

    return asyncio.run(play())


@pytest.mark.parametrize(
    ("limit", "low", "asked"),
    [("calls_in_flight", 5, echoes(1, 6)), ("call_bytes", 60, echoes(1, 3, '"' + "x" * 20 + '"'))],
)
def test_a_worker_that_asks_for_more_at_once_than_it_may_gets_none_of_it(limit: str, low: int, asked: list[Effect]) -> None:
    made, result = played([Suspended(asked), Finished()], LIMITS._replace(**{limit: low}))
    assert made.probe.calls == []
    assert isinstance(result.error, LimitError)
    assert (result.error.limit, result.error.value) == (limit, low)


def test_calls_that_have_their_answers_are_not_in_flight_any_more() -> None:
    steps = [*[Suspended(echoes(first, 5, '"' + "x" * 20 + '"')) for first in (1, 6, 11)], Finished()]
    made, result = played(steps, LIMITS._replace(calls_in_flight=5, call_bytes=200))
    assert result.error is None
    assert len(made.probe.calls) == 15


def test_background_work_that_asks_for_more_than_it_may_ends() -> None:
    made, result = played([left(1, 1), left(2, 6), Finished()], LIMITS._replace(calls_in_flight=5))
    assert result.error is None
    assert made.probe.calls == ["echo"]
    assert "background work ended: more than 5 calls wait" in made.sink.text("stderr")


def test_a_cell_that_leaves_more_behind_than_it_may_fails_and_leaves_nothing() -> None:
    made, result = played([left(1, 6), Finished()], LIMITS._replace(calls_in_flight=5))
    assert isinstance(result.error, LimitError)
    assert made.probe.calls == []


def test_a_limit_that_a_worker_invents_is_told_as_it_is_and_offers_no_mend() -> None:
    fault = Fault("limit", "", limit="patience", value=3, used=4)
    _, result = played([Failed(fault)], LIMITS)
    assert isinstance(result.error, LimitError)
    assert "patience" in result.error.message
    assert "%llmspell" not in result.error.message


SPAWN = {
    "lua": "for i = 1, 30 do async.spawn(probe.echo, i) end",
    "javascript": "await Promise.all(Array.from({ length: 30 }, (_, i) => probe.echo(i))); null",
}
ONE_BY_ONE = {"lua": "for i = 1, 30 do probe.echo(i) end", "javascript": "for (let i = 0; i < 30; i++) await probe.echo(i)"}


@pytest.mark.parametrize("engine", SCRIPTS)
@pytest.mark.parametrize("code", [SPAWN, ONE_BY_ONE])
def test_calls_that_come_too_fast_are_held_back_and_none_is_refused(engine: str, code: dict[str, str]) -> None:
    async def play() -> list[CallStarted]:
        async with world(limits=LIMITS._replace(effects_per_s=20)) as made:
            (await made.session.run(code[engine], engine=engine)).raise_for_error()
            return made.events(CallStarted)

    started = asyncio.run(play())
    assert len(started) == 30
    assert started[-1].time - started[0].time >= (30 - 20) / 20 - 0.1


def test_calls_that_are_held_back_end_with_their_cell() -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(effects_per_s=1, total_time_s=0.2)) as made:
            error = (await made.session.run(SPAWN["lua"])).error
            assert isinstance(error, LimitError)
            assert error.limit == "total_time_s"
            assert len(made.probe.calls) == 1

    asyncio.run(play())


LOOP = {"lua": "for i = 1, 1e6 do end", "javascript": "for (let i = 0; i < 1e6; i++);"}


@pytest.mark.parametrize("engine", SCRIPTS)
def test_instructions_are_counted_anew_in_each_cell_and_told(engine: str) -> None:
    async def play() -> list[int]:
        async with world(limits=LIMITS._replace(instructions=40_000_000)) as made:
            told = []
            for _ in range(5):
                (await made.session.run(LOOP[engine], engine=engine)).raise_for_error()
                told.append(made.session.states["main", engine].instructions)
            return told

    told = asyncio.run(play())
    assert min(told) >= 1_000_000
    assert max(told) <= 40_000_000


@pytest.mark.parametrize("engine", SCRIPTS)
def test_a_limit_that_the_user_raises_holds_from_the_next_cell_of_an_open_state_on(engine: str) -> None:
    def settings(instructions: int) -> Settings:
        return Settings(limits={"instructions": instructions})

    async def play() -> None:
        async with Session(settings=settings(300_000)) as session:
            assert isinstance((await session.run(LOOP[engine], engine=engine)).error, LimitError)
            session.configure(settings(100_000_000))
            assert (await session.run(LOOP[engine], engine=engine)).error is None

    asyncio.run(play())


ENDLESS = {"lua": "local function f()\n  while true do end\nend\n\nf()", "javascript": "function f() {\n  for (;;);\n}\n\nf()"}
STOPPED_AT = {"lua": [("cell", 2, "f"), ("cell", 5, "")], "javascript": [("cell", 0, "f"), ("cell", 5, "")]}


@pytest.mark.parametrize("engine", SCRIPTS)
@pytest.mark.parametrize("limit", ["script_time_s", "instructions"])
def test_a_stopped_script_says_where_it_was(engine: str, limit: str) -> None:
    async def play() -> LimitError:
        async with world(limits=LIMITS._replace(**{limit: 0.1 if limit == "script_time_s" else 1_000_000})) as made:
            error = (await made.session.run(ENDLESS[engine], engine=engine)).error
            assert isinstance(error, LimitError)
            return error

    error = asyncio.run(play())
    assert error.limit == limit
    assert [(frame.chunk, frame.line, frame.function) for frame in error.frames] == STOPPED_AT[engine]


def test_a_cell_that_waits_when_its_time_is_over_says_where_it_waits() -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(total_time_s=0.1)) as made:
            error = (await made.session.run("local x = 1\n\nprobe.hang()")).error
            assert isinstance(error, LimitError)
            assert [(frame.chunk, frame.line) for frame in error.frames] == [("cell", 3)]

    asyncio.run(play())


NOW = {"lua": "a = os.time() sleep(0.05) b = os.time()", "javascript": "var a = Date.now(); await sleep(0.05); var b = Date.now(); null"}


@pytest.mark.parametrize("engine", SCRIPTS)
def test_scripts_see_the_times_that_stand_in_the_journal(engine: str) -> None:
    async def play() -> tuple[ExecutionResult, list[Any], list[Any]]:
        async with Session() as session:
            result = await session.run(NOW[engine], engine=engine, outputs=["a", "b"])
            events = session.recorder.of_cell(result.cell)
            return result, [e for e in events if isinstance(e, CellStarted)], [e for e in events if isinstance(e, CallFinished)]

    result, [began], [slept] = asyncio.run(play())
    result.raise_for_error()
    unit = 1 if engine == "lua" else 1000
    assert result.outputs == {"a": math.floor(began.time * unit), "b": math.floor(slept.time * unit)}


RECURSION = {
    "lua": [
        "local function f(n) return 1 + f(n + 1) end f(1)",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end return t.x",
        "local function f() return pcall(f) and error('deep') end f() error('deep')",
        "local s = ('['):rep(1e5) json.decode(s)",
        "return string.rep('(', 300) and string.find(('a'):rep(3e5), ('(a'):rep(300))",
        "local t = {} for i = 1, 1e5 do t = { t } end json.encode(t)",
        "local f f = function() return coroutine.wrap(f)() end f()",
        "return require('x')",
    ],
    "javascript": [
        "const f = (n) => 1 + f(n + 1); f(1)",
        "const o = { get a() { return this.a } }; o.a",
        "const f = () => { try { f() } finally { f() } }; f()",
        "JSON.parse('['.repeat(1e6))",
        "let o = {}; for (let i = 0; i < 1e5; i++) o = { o }; JSON.stringify(o)",
        "new RegExp('('.repeat(1e5) + ')'.repeat(1e5))",
        "const p = new Proxy({}, { get(t, k, r) { return r[k] } }); p.a",
        "class A { constructor() { new A() } }; new A()",
        "[1].toString.call({ join() { return String(this) }, toString: Array.prototype.toString })",
        "eval('('.repeat(1e5))",
    ],
}
KEEP = {"lua": ("kept = 7", "return kept"), "javascript": ("globalThis.kept = 7", "kept")}


@pytest.mark.parametrize(("engine", "code"), [(engine, code) for engine, codes in RECURSION.items() for code in codes])
def test_what_is_nested_too_deep_is_a_typed_error_and_the_state_stays(engine: str, code: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS) as made:
            keep, kept = KEEP[engine]
            await made.session.run(keep, engine=engine)
            result = await made.session.run(code, engine=engine)
            assert isinstance(result.error, (ScriptError, LimitError)), result
            assert not isinstance(result.error, Interrupted)
            assert (await made.session.run(kept, engine=engine)).values == [7]

    asyncio.run(play())


def test_a_smaller_stack_holds_fewer_calls() -> None:
    async def depth(stack_bytes: int) -> Any:
        async with world(limits=LIMITS._replace(stack_bytes=stack_bytes)) as made:
            code = "let n = 0; const f = () => { n++; f() }; try { f() } catch (_) {} n"
            return (await made.session.run(code, engine="javascript")).values[0]

    assert asyncio.run(depth(256 * 1024)) * 3 < asyncio.run(depth(2 * 1024 * 1024))


LARGE = {"lua": 'local s = ("x"):rep(200000)', "javascript": 'const s = "x".repeat(200000);'}
CROSSING = {
    "lua": [
        "probe.echo(s)",
        "probe.echo({ { s } })",
        "return s",
        "return probe.apply(function() return s end)",
        "return probe.give()",
        "local t = {} for i = 1, 300000 do t[i] = {} end return t",
    ],
    "javascript": [
        "await probe.echo(s)",
        "await probe.echo([[s]])",
        "s",
        "await probe.apply(() => s)",
        "await probe.give()",
        "await probe.echo(new Uint8Array(200000))",
        "Array.from({ length: 300000 }, () => [])",
    ],
}


@pytest.mark.parametrize(("engine", "code"), [(engine, code) for engine, codes in CROSSING.items() for code in codes])
def test_a_value_over_the_limit_crosses_in_no_direction_and_the_state_stays(engine: str, code: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(value_bytes=100_000)) as made:
            made.probe.answer = "x" * 200_000
            keep, kept = KEEP[engine]
            await made.session.run(keep, engine=engine)
            result = await made.session.run(f"{LARGE[engine]} {code}", engine=engine)
            assert result.error is not None
            assert "100000 bytes" in result.error.message
            assert (await made.session.run(kept, engine=engine)).values == [7]

    asyncio.run(play())


DEEP = {
    "lua": "local t = {} for i = 1, 64 do t = { t } end ",
    "javascript": "let t = []; for (let i = 0; i < 64; i++) t = [t]; ",
}
DEEPLY = {
    "lua": ["probe.echo(t)", "return t", "probe.apply(function() return t end)", "probe.give()"],
    "javascript": ["await probe.echo(t)", "t", "await probe.apply(() => t)", "await probe.give()"],
}


@pytest.mark.parametrize(("engine", "code"), [(engine, code) for engine, codes in DEEPLY.items() for code in codes])
def test_a_value_that_is_too_deep_crosses_in_no_direction(engine: str, code: str) -> None:
    deep: Any = []
    for _ in range(64):
        deep = [deep]

    async def play() -> None:
        async with world(limits=LIMITS) as made:
            made.probe.answer = deep
            error = (await made.session.run(DEEP[engine] + code, engine=engine)).error
            assert error is not None
            assert "64" in error.message

    asyncio.run(play())


FILL = {
    "lua": "local held = {} for i = 1, 1e9 do held[i] = ('x'):rep(100000) .. i end",
    "javascript": "const held = []; for (let i = 0; ; i++) held.push('x'.repeat(100000) + i + String(i).padEnd(100000))",
}


@pytest.mark.parametrize("engine", SCRIPTS)
def test_a_full_state_says_its_limit_in_the_same_words_in_each_language(engine: str) -> None:
    async def play() -> ExecutionResult:
        async with Session(settings=Settings(limits={"memory_bytes": 16 * 2**20})) as session:
            return await session.run(FILL[engine], engine=engine)

    error = asyncio.run(play()).error
    assert isinstance(error, LimitError)
    assert error.message.startswith("the state's memory limit of 16 MiB was met; ")
    assert (error.limit, error.value) == ("memory_bytes", 16 * 2**20)
