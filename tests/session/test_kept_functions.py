"""Functions that bridges keep, calls that bridges make, and states that they make: with real workers, from every language to every other."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel import Bridge, Context, ScriptFunction, method
from llmspell_kernel.errors import DeniedError, ScriptError, SpellError
from llmspell_kernel.journal.events import CallStarted
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import Callback, Value

from .test_taping import Counted
from .world import ENGINES, Recording


class Desk(Bridge):
    """Keeps functions of scripts, and makes calls."""

    name = "desk"

    def __init__(self) -> None:
        self.kept: dict[str, ScriptFunction] = {}
        self.texts: list[str] = []
        self.opened: list[str] = []
        self.after_script: Callable[[], object] = lambda: None

    @method(replay="again")
    async def keep(self, ctx: Context, name: str, function: Callback) -> None:
        """Keeps a function."""
        self.kept[name] = ctx.function(function)

    @method(replay="again")
    async def run(self, ctx: Context, name: str, argument: Value = None) -> Any:
        """Calls a function that was kept."""
        await self.kept[name].ready()
        return await self.kept[name](ctx, argument)

    @method(replay="again")
    async def run_many(self, ctx: Context, name: str, count: int) -> list[Any]:
        """Calls it many times at once."""
        return list(await asyncio.gather(*(self.kept[name](ctx, number) for number in range(count))))

    @method(replay="again")
    async def twice(self, ctx: Context, key: str) -> list[int]:
        """Asks another bridge, two times."""
        return [await ctx.call("counted", "number", key), await ctx.call("counted", "number", key)]

    @method(replay="again")
    async def relay(self, ctx: Context, bridge: str, name: str) -> Any:
        """Asks any method."""
        return await ctx.call(bridge, name)

    @method(replay="again")
    async def said(self, ctx: Context, prompt: str) -> str:
        """What a model says, piece by piece."""
        text = await ctx.call("llm", "chat", prompt, {"model": "spell/echo"}, on_text=self.texts.append)
        return str(text)

    @method(inner=True)
    async def within(self, ctx: Context) -> str:
        """For other bridges."""
        return "inside"

    @method(replay="again")
    async def script(self, ctx: Context, engine: str, code: str, allow: Sequence[str] = ()) -> list[Any]:
        """Runs a script in a fresh state."""
        async with ctx.fresh_state(engine, allow=allow) as state:
            self.opened.append(state.name)
            values, printed, error = await state.run(code)
            self.after_script()
        return [values, printed, None if error is None else [error.code, error.message]]


@asynccontextmanager
async def desk(folder: Path, **options: Any) -> AsyncIterator[tuple[Session, Desk, Counted]]:
    bridge, counted = Desk(), Counted()
    settings = options.pop("settings", Settings())
    async with Session(sink=Recording(), bridges=[bridge, counted], folder=folder, settings=settings, **options) as session:
        yield session, bridge, counted


async def run(session: Session, engine: str, cell: dict[str, str], state: str = "main", chunk: str = "cell[1]") -> list[Value]:
    result = await session.run(cell[engine], engine=engine, state=state, chunk=chunk)
    if result.error is not None:
        raise result.error
    return result.values


KEEP = {
    "lua": "seen = 0; desk.keep('add', function(n) seen = seen + n; return seen end)",
    "javascript": "let seen = 0; await desk.keep('add', n => seen += n);",
}
SEEN = {"lua": "seen", "javascript": "seen"}


def use(argument: int) -> dict[str, str]:
    return {"lua": f"desk.run('add', {argument})", "javascript": f"await desk.run('add', {argument})"}


async def kill(session: Session, engine: str, state: str = "main") -> None:
    worker = session.states[state, engine].worker
    assert worker is not None
    gone = asyncio.Event()
    worker.on_lost[-1] = gone.set
    os.kill(worker.pid, signal.SIGKILL)
    await gone.wait()


every_pair = pytest.mark.parametrize(("owner", "user"), list(product(ENGINES, ENGINES)))
every_engine = pytest.mark.parametrize("engine", ENGINES)


@every_pair
def test_a_function_is_called_from_later_cells_and_from_any_state_and_changes_its_own(owner: str, user: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with desk(tmp_path) as (session, _, _):
            await run(session, owner, KEEP)
            assert await run(session, user, use(2), "other") == [2]
            assert await run(session, owner, use(3)) == [5]
            assert await run(session, user, use(4), "other") == [9]
            assert await run(session, owner, SEEN) == [9]

    asyncio.run(play())


@every_pair
def test_a_function_of_another_state_is_a_call_within_the_one_that_asks(owner: str, user: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with desk(tmp_path) as (session, _, _):
            await run(
                session,
                owner,
                {
                    "lua": "desk.keep('add', function() return counted.number('in') end)",
                    "javascript": "await desk.keep('add', async () => await counted.number('in'));",
                },
            )
            assert await run(session, user, use(0), "other") == [1]
            calls = {event.call: event for event in session.recorder if isinstance(event, CallStarted)}
            (asked,) = (event for event in calls.values() if event.bridge == "counted")
            path = []
            at: int | None = asked.call
            while at is not None:
                path.append(f"{calls[at].bridge}.{calls[at].method}")
                at = calls[at].parent
            assert path == ["counted.number", "function.call", "desk.run"]
            assert len({event.cell for event in calls.values() if event.method != "keep"}) == 1

    asyncio.run(play())


@every_pair
def test_calls_at_once_come_one_after_the_other_and_none_is_lost(owner: str, user: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with desk(tmp_path) as (session, _, _):
            await run(session, owner, KEEP)
            cell = {"lua": "desk.run_many('add', 10)", "javascript": "await desk.runMany('add', 10)"}
            ((*results,),) = await run(session, user, cell, "other")  # type: ignore[misc]
            assert sorted(results) == [0, 1, 3, 6, 10, 15, 21, 28, 36, 45]  # type: ignore[type-var]

    asyncio.run(play())


@every_pair
def test_two_states_call_each_other_to_and_fro_and_no_one_waits_for_ever(owner: str, user: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with desk(tmp_path) as (session, _, _):
            back = {
                "lua": "desk.keep('{0}', function(n) if n == 0 then return 'end' end return desk.run('{1}', n - 1) end)",
                "javascript": "await desk.keep('{0}', async n => n === 0 ? 'end' : await desk.run('{1}', n - 1));",
            }
            await run(session, owner, {name: text.format("a", "b") for name, text in back.items()}, "one")
            await run(session, user, {name: text.format("b", "a") for name, text in back.items()}, "two")
            async with asyncio.timeout(20):
                assert await run(session, owner, {"lua": "desk.run('b', 6)", "javascript": "await desk.run('b', 6)"}, "one") == ["end"]

    asyncio.run(play())


@every_engine
def test_a_fault_of_the_function_is_the_callers_to_catch_and_its_state_stays(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with desk(tmp_path) as (session, _, _):
            await run(
                session,
                engine,
                {
                    "lua": "kept = 1; desk.keep('add', function() kept = 2; error('not today') end)",
                    "javascript": "let kept = 1; await desk.keep('add', () => { kept = 2; throw new Error('not today') });",
                },
            )
            with pytest.raises(ScriptError, match="not today"):
                await run(session, engine, use(1), "other")
            assert await run(session, engine, {"lua": "kept", "javascript": "kept"}) == [2]

    asyncio.run(play())


@every_engine
def test_neither_functions_nor_results_with_functions_go_from_one_state_to_another(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with desk(tmp_path) as (session, _, _):
            await run(
                session,
                engine,
                {
                    "lua": "desk.keep('add', function(n) return {f = function() end} end)",
                    "javascript": "await desk.keep('add', n => ({f: () => {}}));",
                },
            )
            with pytest.raises(SpellError, match="a function cannot go from one state to another"):
                await run(session, engine, use(1), "other")
            given = {"lua": "desk.run('add', {f = function() end})", "javascript": "await desk.run('add', {f: () => {}})"}
            with pytest.raises(SpellError, match="a function cannot go from one state to another"):
                await run(session, engine, given, "other")

    asyncio.run(play())


@every_engine
def test_an_endless_function_of_another_state_meets_its_limit_and_a_stop_keeps_both_states(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        settings = Settings(limits={"script_time_s": 0.3})
        async with desk(tmp_path, settings=settings) as (session, _, _):
            await run(
                session,
                engine,
                {
                    "lua": "kept = 1; desk.keep('add', function() while true do end end)",
                    "javascript": "let kept = 1; await desk.keep('add', () => { for (;;); });",
                },
            )
            with pytest.raises(SpellError, match=r"more than its 0.3 s"):
                await run(session, engine, use(1), "other")
            session.configure(Settings(limits={"script_time_s": 20}))
            await run(session, engine, {"lua": "mine = 5", "javascript": "let mine = 5"}, "other")
            begun = asyncio.Event()
            session.recorder.listen(lambda event: begun.set() if isinstance(event, CallStarted) and event.bridge == "function" else None)
            cell = asyncio.ensure_future(run(session, engine, use(1), "other"))
            await begun.wait()
            session.interrupt()
            with pytest.raises(SpellError, match="stopped"):
                await cell
            assert await run(session, engine, {"lua": "kept", "javascript": "kept"}) == [1]
            assert await run(session, engine, {"lua": "mine", "javascript": "mine"}, "other") == [5]

    asyncio.run(play())


@every_engine
def test_the_functions_of_a_state_that_was_lost_come_back_with_it_and_those_of_one_that_ended_are_told(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with desk(tmp_path) as (session, bridge, _):
            await run(session, engine, KEEP)
            await run(session, engine, use(2), "other")
            await kill(session, engine)
            assert await run(session, engine, use(5), "other") == [7]
            await session.forget("main", engine)
            assert not bridge.kept["add"].is_alive
            with pytest.raises(ScriptError, match="belongs to the .* state 'main' as it was before it was lost or ended"):
                await run(session, engine, use(5), "other")

    asyncio.run(play())


@every_pair
def test_a_state_that_asked_another_comes_back_without_asking_it_again(owner: str, user: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with desk(tmp_path) as (session, _, counted):
            await run(session, owner, KEEP)
            got = {
                "lua": "got = desk.run('add', 2); also = desk.twice('k')",
                "javascript": "let got = await desk.run('add', 2), also = await desk.twice('k');",
            }
            await run(session, user, got, "other", "cell[2]")
            await kill(session, user, "other")
            assert await run(session, user, {"lua": "{got, also}", "javascript": "[got, also]"}, "other", "cell[3]") == [[2, [1, 2]]]
            assert await run(session, owner, SEEN) == [2]
            assert len(counted.calls) == 2

    asyncio.run(play())


@every_engine
def test_what_a_bridge_asks_is_replayed_while_the_bridge_itself_works_again(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": "desk.keep('f', function(n) return counted.number('f') + n end); return {desk.twice('k'), desk.run('f', 10)}",
        "javascript": "await desk.keep('f', async n => await counted.number('f') + n); [await desk.twice('k'), await desk.run('f', 10)]",
    }

    async def play(mode: Any) -> tuple[list[Value], int, list[tuple[str, int | None]]]:
        async with desk(tmp_path) as (session, bridge, counted):
            session.tape(mode, tmp_path / "a.jsonl")
            values = await run(session, engine, cell)
            assert list(bridge.kept) == ["f"]
            started = [(f"{event.bridge}.{event.method}", event.parent) for event in session.recorder if isinstance(event, CallStarted)]
            return values, len(counted.calls), started

    recorded, asked, tree = asyncio.run(play("record"))
    replayed, asked_again, same_tree = asyncio.run(play("replay"))
    assert recorded == replayed == [[[1, 2], 13]]
    assert (asked, asked_again) == (3, 0)
    assert tree == same_tree


@every_engine
def test_a_bridge_hears_the_text_of_an_answer_as_it_comes_also_in_a_replay(engine: str, tmp_path: Path) -> None:
    async def play(mode: Any) -> list[str]:
        async with desk(tmp_path) as (session, bridge, _):
            session.tape(mode, tmp_path / "a.jsonl")
            await run(session, engine, {"lua": "desk.said('one two three')", "javascript": "await desk.said('one two three')"})
            return bridge.texts

    texts = asyncio.run(play("record"))
    assert len(texts) > 1
    assert "".join(texts) == "echo: one two three"
    assert asyncio.run(play("replay")) == texts


@every_engine
def test_inner_methods_answer_bridges_and_no_script(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with desk(tmp_path) as (session, _, _):
            relay = {"lua": "desk.relay('desk', 'within')", "javascript": "await desk.relay('desk', 'within')"}
            assert await run(session, engine, relay) == ["inside"]
            with pytest.raises(ScriptError, match="has no method 'within'"):
                await run(session, engine, {"lua": "desk.within()", "javascript": "await desk.within()"})
            with pytest.raises(ScriptError, match="has no method 'within'"):
                await session.call_bridge("desk", "within")

    asyncio.run(play())


@every_engine
def test_what_a_bridge_asks_is_under_the_policy_of_the_state(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with desk(tmp_path, grants=Grants(deny=("counted.*",))) as (session, _, counted):
            with pytest.raises(DeniedError, match="counted.number is denied"):
                await run(session, engine, {"lua": "desk.twice('k')", "javascript": "await desk.twice('k')"})
            assert counted.calls == []

    asyncio.run(play())


@every_pair
def test_a_fresh_state_runs_a_script_with_what_it_was_given_alone_and_is_gone_afterwards(owner: str, user: str, tmp_path: Path) -> None:
    code = {
        "lua": "print('hello'); local ok, e = pcall(counted.fails); return counted.number('in'), ok",
        "javascript": "console.log('hello'); let ok = true; try { await counted.fails() } catch (e) { ok = e.code } [await counted.number('in'), ok]",
    }

    async def play() -> None:
        async with desk(tmp_path) as (session, bridge, counted):
            text = code[owner].replace("\\", "\\\\").replace('"', '\\"')
            ask = f'desk.script("{owner}", "{text}", {{}})'
            allow = '{"counted.number"}' if user == "lua" else '["counted.number"]'
            cell = ask.replace("{}", allow) if user == "lua" else "await " + ask.replace("{}", allow)
            ((values, printed, error),) = await run(session, user, {user: cell})  # type: ignore[misc]
            assert error is None, error
            assert values in ([1, False], [[1, "denied"]])
            assert printed == "hello\n"
            assert counted.calls == ["in"]
            assert [name for name, _ in session.states] == ["main"]
            assert bridge.opened == ["main/1"]

    asyncio.run(play())


@every_engine
@pytest.mark.parametrize("end", ["result", "error"])
def test_what_a_fresh_state_left_in_the_background_has_ended_when_its_result_is_given(engine: str, end: str, tmp_path: Path) -> None:
    code = {
        ("lua", "result"): "async.background(function() while true do pcall(counted.number, 'in') end end) return 1",
        ("lua", "error"): "async.background(function() while true do pcall(counted.number, 'in') end end) error('x')",
        ("javascript", "result"): "async.background(async () => { for (;;) await counted.number('in') }); 1",
        ("javascript", "error"): "async.background(async () => { for (;;) await counted.number('in') }); throw Error('x')",
    }[engine, end]
    allow = {"lua": "{'counted.number'}", "javascript": "['counted.number']"}[engine]
    call = f'desk.script("{engine}", "{code}", {allow})'

    async def play() -> None:
        async with desk(tmp_path) as (session, bridge, _):
            left: list[object] = []
            bridge.after_script = lambda: left.append(session.background)
            ((values, printed, error),) = await run(session, engine, {"lua": call, "javascript": f"await {call}"})  # type: ignore[misc]
            assert (values, error is None, printed) == (([1], True, "") if end == "result" else ([], False, ""))
            assert left == [[]]

    asyncio.run(play())


@every_pair
def test_a_fresh_state_has_the_limits_of_strict_and_nothing_of_the_asking_state(owner: str, user: str, tmp_path: Path) -> None:
    code = {
        "lua": "local ok, why = pcall(function() return load end); return mine, ok and load, getmetatable",
        "javascript": "[typeof mine, typeof eval, (() => { try { return Function('return 1')() } catch (e) { return e.name } })()]",
    }
    endless = {"lua": "while true do end", "javascript": "for (;;);"}

    async def play() -> None:
        async with desk(tmp_path, settings=Settings(limits={"script_time_s": 0.2})) as (session, _, _):
            await run(session, user, {"lua": "mine = 1", "javascript": "let mine = 1"})
            await_ = "" if user == "lua" else "await "
            ((values, _, error),) = await run(
                session,
                user,
                {
                    user: f"{await_}desk.script({owner!r}, `{code[owner]}`)"
                    if user != "lua"
                    else f"desk.script({owner!r}, [==[{code[owner]}]==])"
                },
            )  # type: ignore[misc]
            assert error is None, error
            assert values[0] in (
                None,
                ["undefined", "undefined", "EvalError"],
                ["undefined", "undefined", "TypeError"],
                ["undefined", "function", "EvalError"],
            ), values  # type: ignore[index]
            ((values, _, error),) = await run(session, user, {user: f"{await_}desk.script({owner!r}, {endless[owner]!r})"})  # type: ignore[misc]
            assert error[0] == "limit", error  # type: ignore[index]
            assert await run(session, user, {"lua": "mine", "javascript": "mine"}) == [1]

    asyncio.run(play())


@every_pair
def test_a_script_in_a_fresh_state_is_neither_run_nor_asks_again_when_the_asking_state_comes_back(
    owner: str, user: str, tmp_path: Path
) -> None:
    async def play() -> None:
        async with desk(tmp_path) as (session, bridge, counted):
            text = {"lua": "return counted.number('in')", "javascript": "await counted.number('in')"}[owner]
            ask = f'desk.script("{owner}", "{text}", {{"counted.*"}})'
            cell = f"got = {ask}" if user == "lua" else f"let got = await {ask.replace('{', '[').replace('}', ']')}"
            await run(session, user, {user: cell}, chunk="cell[1]")
            await kill(session, user)
            assert await run(session, user, {"lua": "got[1][1]", "javascript": "got[0][0]"}, chunk="cell[2]") == [1]
            assert counted.calls == ["in"]
            assert len(bridge.opened) == 2

    asyncio.run(play())


@every_engine
def test_kept_functions_come_back_with_saved_states(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        file = tmp_path / "states.jsonl"
        async with desk(tmp_path) as (session, _, _):
            await run(session, engine, KEEP)
            await run(session, engine, use(2), "other", "cell[2]")
            session.save(file)
        async with desk(tmp_path) as (session, bridge, _):
            await session.resume(file)
            assert await run(session, engine, SEEN, chunk="cell[3]") == [2]
            assert await run(session, engine, use(1), "other", "cell[4]") == [3]
            assert bridge.kept["add"].state == "main"

    asyncio.run(play())
