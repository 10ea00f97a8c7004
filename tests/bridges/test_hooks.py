"""Hooks: what they see and change, in which order, how they fail, what a replay and a restored state make of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import DeniedError, ScriptError, SpellError
from llmspell_kernel.journal.events import CallDenied, CallFinished, CallStarted
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import Value

from ..session.test_kept_functions import desk
from ..session.test_taping import Counted
from ..session.world import ENGINES, Probe, Recording

every_engine = pytest.mark.parametrize("engine", ENGINES)
every_pair = pytest.mark.parametrize(("owner", "user"), list(product(ENGINES, ENGINES)))


@asynccontextmanager
async def hooked(folder: Path, **options: Any) -> AsyncIterator[tuple[Session, Probe, Counted]]:
    probe, counted = Probe(), Counted()
    settings = options.pop("settings", Settings(model="spell/echo"))
    async with Session(sink=Recording(), bridges=[probe, counted], folder=folder, settings=settings, **options) as session:
        yield session, probe, counted


async def run(session: Session, engine: str, lua: str, javascript: str, state: str = "main", chunk: str = "cell[1]") -> list[Value]:
    result = await session.run({"lua": lua, "javascript": javascript}[engine], engine=engine, state=state, chunk=chunk)
    if result.error is not None:
        raise result.error
    return result.values


async def kill(session: Session, engine: str, state: str = "main") -> None:
    worker = session.states[state, engine].worker
    assert worker is not None
    gone = asyncio.Event()
    worker.on_lost[-1] = gone.set
    os.kill(worker.pid, signal.SIGKILL)
    await gone.wait()


SUFFIX = (
    "hooks.before('probe.echo', function(call) return {arguments = {call.arguments[1] .. ' more'}} end)",
    "await hooks.before('probe.echo', call => ({arguments: [call.arguments[0] + ' more']}))",
)
ECHO = ("probe.echo('x')", "await probe.echo('x')")


@every_pair
def test_a_hook_changes_arguments_and_value_of_calls_of_every_state(owner: str, user: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(session, owner, *SUFFIX)
            await run(
                session,
                owner,
                "hooks.after('probe.*', function(call, value) return {value = {value, call.label, call.arguments[1]}} end)",
                "await hooks.after('probe.*', (call, value) => ({value: [value, call.label, call.arguments[0]]}))",
            )
            expected = [["x more", "probe.echo", "x more"]]
            assert await run(session, user, *ECHO, state="other") == expected
            assert await run(session, owner, *ECHO) == expected

    asyncio.run(play())


@every_engine
def test_hooks_run_in_the_order_in_which_they_came_and_each_sees_what_the_one_before_made(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            for letter in "ab":
                await run(
                    session,
                    engine,
                    f"hooks.before('probe.echo', function(c) return {{arguments = {{c.arguments[1] .. '{letter}'}}}} end)\n"
                    f"hooks.after('probe.echo', function(c, v) return {{value = v .. '{letter.upper()}'}} end)",
                    f"await hooks.before('probe.echo', c => ({{arguments: [c.arguments[0] + '{letter}']}}));\n"
                    f"await hooks.after('probe.echo', (c, v) => ({{value: v + '{letter.upper()}'}}))",
                )
            assert await run(session, engine, *ECHO) == ["xabAB"]
            (listed,) = await run(session, engine, "return hooks.list()", "await hooks.list()")
            assert [(hook["id"], hook["kind"]) for hook in listed] == [  # type: ignore[index,union-attr,call-overload]
                (f"{engine}:main:{number}", kind) for number, kind in enumerate(["before", "after"] * 2, 1)
            ]

    asyncio.run(play())


@every_engine
def test_around_hands_its_context_from_before_to_after(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(
                session,
                engine,
                "hooks.around('probe.echo', function(c) return {context = {c.arguments[1]}} end,"
                " function(c, v) return {value = {v, c.context[1]}} end)\n" + SUFFIX[0],
                "await hooks.around('probe.echo', c => ({context: [c.arguments[0]]}), (c, v) => ({value: [v, c.context[0]]}));\n"
                + SUFFIX[1],
            )
            assert await run(session, engine, *ECHO) == [["x more", "x"]]

    asyncio.run(play())


@every_engine
def test_a_cancelled_call_is_never_made_and_says_which_hook_and_why(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, probe, _):
            await run(
                session,
                engine,
                "hooks.before('probe.*', function() return hooks.cancel('not today') end)",
                "await hooks.before('probe.*', () => hooks.cancel('not today'))",
            )
            with pytest.raises(ScriptError, match=rf"probe.echo was cancelled by the hook {engine}:main:1 .*: not today") as raised:
                await run(session, engine, *ECHO)
            assert raised.value.code == "cancelled_by_hook"
            assert probe.calls == []
            (denied,) = [event for event in session.recorder if isinstance(event, CallDenied)]
            assert (denied.bridge, denied.method, denied.code) == ("probe", "echo", "cancelled_by_hook")

    asyncio.run(play())


@every_engine
def test_a_hook_may_answer_in_place_of_the_call(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, probe, _):
            await run(
                session,
                engine,
                "hooks.before('probe.echo', function() return {value = 'mine'} end)",
                "await hooks.before('probe.echo', () => ({value: 'mine'}))",
            )
            assert await run(session, engine, *ECHO) == ["mine"]
            assert probe.calls == []

    asyncio.run(play())


@every_engine
def test_policy_decides_on_the_call_as_hooks_leave_it_and_arguments_are_checked_then(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path, grants=Grants(deny=("probe.count",))) as (session, probe, _):
            await run(
                session,
                engine,
                "hooks.before('probe.count', function() return {value = 1} end)\n"
                "hooks.before('counted.*', function() return {arguments = {7}} end)",
                "await hooks.before('probe.count', () => ({value: 1}));\nawait hooks.before('counted.*', () => ({arguments: [7]}))",
            )
            with pytest.raises(DeniedError):
                await run(session, engine, "probe.count(1)", "await probe.count(1)")
            with pytest.raises(ScriptError, match="argument 1"):
                await run(session, engine, "counted.number('k')", "await counted.number('k')")
            assert probe.calls == []

    asyncio.run(play())


@every_engine
def test_what_a_hook_asks_itself_no_hook_sees(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, probe, _):
            await run(
                session,
                engine,
                "hooks.before('probe.echo', function(c) return {arguments = {probe.echo('in') .. c.arguments[1]}} end)",
                "await hooks.before('probe.echo', async c => ({arguments: [await probe.echo('in') + c.arguments[0]]}))",
            )
            assert await run(session, engine, *ECHO) == ["inx"]
            assert await run(session, engine, *ECHO, state="other") == ["inx"]
            assert len(probe.calls) == 4

    asyncio.run(play())


@every_engine
def test_a_failing_hook_fails_the_call_by_its_name_or_is_told_and_ignored(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            (name,) = await run(
                session,
                engine,
                "hooks.before('probe.echo', function() error('broken') end)",
                "await hooks.before('probe.echo', () => { throw new Error('broken') })",
            )
            with pytest.raises(ScriptError, match=rf"the hook {name} .*run for probe.echo, failed: .*broken") as raised:
                await run(session, engine, *ECHO)
            assert raised.value.code == "hook_failed"
            assert await run(session, engine, f"hooks.remove('{name}')", f"await hooks.remove('{name}')") == [True]
            assert await run(session, engine, *ECHO) == ["x"]
            await run(
                session,
                engine,
                "hooks.before('probe.echo', function() error('broken') end, {on_error = 'ignore'})",
                "await hooks.before('probe.echo', () => { throw new Error('broken') }, {onError: 'ignore'})",
            )
            assert await run(session, engine, *ECHO) == ["x"]
            assert "broken; the call goes on" in session.sink.text("stderr")  # type: ignore[attr-defined]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("lua", "javascript", "says"),
    [
        ("return 5", "return 5", "gave int"),
        ("return {argumens = {1}}", "return {argumens: [1]}", "did you mean 'arguments'"),
        ("return {arguments = 'x'}", "return {arguments: 'x'}", "gave arguments that are no list"),
        ("return {value = function() end}", "return {value: () => 1}", "gave a function, which belongs to its state"),
        ("return {value = probe.ticker(3)}", "return {value: await probe.ticker(3)}", "gave a probe.ticker, which belongs to its state"),
        ("return {arguments = {probe.ticker(3)}}", "return {arguments: [await probe.ticker(3)]}", "gave a probe.ticker"),
    ],
)
@every_engine
def test_what_a_hook_may_not_give_is_an_error_that_says_so_or_is_told_and_ignored(
    engine: str, lua: str, javascript: str, says: str, tmp_path: Path
) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            hook = (f"'probe.echo', function() {lua} end", f"'probe.echo', async () => {{ {javascript} }}")
            (name,) = await run(session, engine, f"hooks.before({hook[0]})", f"await hooks.before({hook[1]})")
            with pytest.raises(SpellError, match=says):
                await run(session, engine, *ECHO)
            await run(session, engine, f"hooks.remove('{name}')", f"await hooks.remove('{name}')")
            ignored = (f"hooks.before({hook[0]}, {{on_error = 'ignore'}})", f"await hooks.before({hook[1]}, {{onError: 'ignore'}})")
            await run(session, engine, *ignored)
            assert await run(session, engine, *ECHO) == ["x"]
            assert says in session.sink.text("stderr")  # type: ignore[attr-defined]

    asyncio.run(play())


@every_engine
def test_a_value_in_place_of_a_stream_is_an_error_or_is_told_and_ignored(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            hook = ("hooks.after('probe.ticker', function() return {value = 1} end", "await hooks.after('probe.ticker', () => ({value: 1})")
            tick = ("probe.ticker(1):next()", "await (await probe.ticker(1)).next()")
            await run(
                session,
                engine,
                *(text + end for text, end in zip(hook, (", {on_error = 'ignore'})", ", {onError: 'ignore'})"), strict=True)),
            )
            assert await run(session, engine, *tick) == [1]
            assert "gave a value in place of a probe.ticker" in session.sink.text("stderr")  # type: ignore[attr-defined]
            await run(session, engine, *(f"{text})" for text in hook))
            with pytest.raises(ScriptError, match=r"gave a value in place of a probe\.ticker"):
                await run(session, engine, *tick)

    asyncio.run(play())


@every_engine
def test_a_function_and_a_stream_stay_where_they_are_whatever_a_hook_gives(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(
                session,
                engine,
                "seen = {}; hooks.before('probe.*', function(c) seen[#seen + 1] = c.arguments[1];"
                " return {arguments = {'other', 'changed'}} end)",
                "let seen = []; await hooks.before('probe.*', c => { seen.push(c.arguments[0]); return {arguments: ['other', 'changed']} })",
            )
            applied = await run(
                session, engine, "probe.apply(function(v) return v .. '!' end, 'a')", "await probe.apply(v => v + '!', 'a')"
            )
            assert applied == ["changed!"]
            assert await run(session, engine, "seen", "seen") == [["<function>"]]

    asyncio.run(play())


@every_engine
def test_a_hook_of_functions_of_a_bridge_sees_no_methods_of_its_things(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(
                session,
                engine,
                "n = 0; hooks.before('probe.*', function() n = n + 1 end); m = 0; hooks.after('probe.ticker.*', function() m = m + 1 end)",
                "let n = 0; await hooks.before('probe.*', () => { n += 1 }); let m = 0; await hooks.after('probe.ticker.*', () => { m += 1 })",
            )
            await run(
                session,
                engine,
                "local t = probe.ticker(3); t:next(); t:next(); t:close()",
                "const t = await probe.ticker(3); await t.next(); await t.next(); await t.close()",
            )
            assert await run(session, engine, "return {n, m}", "[n, m]") == [[1, 3]]

    asyncio.run(play())


@every_engine
def test_runs_of_hooks_are_calls_beside_and_within_the_one_they_see(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(
                session,
                engine,
                SUFFIX[0] + "\nhooks.after('probe.echo', function() end)",
                SUFFIX[1] + ";\nawait hooks.after('probe.echo', () => {})",
            )
            await run(session, engine, *ECHO)
            started = {f"{event.bridge}.{event.method}": event for event in session.recorder if isinstance(event, CallStarted)}
            answers = {event.call: event.value for event in session.recorder if isinstance(event, CallFinished)}
            echo = started["probe.echo"]
            assert echo.arguments == ["x more"] and answers[echo.call] == "x more"
            assert started["hooks.after"].parent == echo.call

    asyncio.run(play())


@every_pair
def test_a_replay_runs_hooks_again_and_finds_the_calls_as_they_left_them(owner: str, user: str, tmp_path: Path) -> None:
    async def play(mode: Any) -> tuple[list[Value], int]:
        async with hooked(tmp_path) as (session, _, counted):
            session.tape(mode, tmp_path / "a.jsonl")
            await run(
                session,
                owner,
                "hooks.before('counted.number', function(c) return {arguments = {c.arguments[1] .. counted.number('in')}} end)\n"
                "hooks.after('counted.number', function(c, v) return {value = v + 100} end)",
                "await hooks.before('counted.number', async c => ({arguments: [c.arguments[0] + await counted.number('in')]}));\n"
                "await hooks.after('counted.number', (c, v) => ({value: v + 100}))",
            )
            values = await run(session, user, "counted.number('k')", "await counted.number('k')", state="other")
            return values, len(counted.calls)

    recorded, made = asyncio.run(play("record"))
    replayed, made_again = asyncio.run(play("replay"))
    assert recorded == replayed
    assert (made, made_again) == (2, 0)


@every_pair
def test_a_restored_state_has_its_hooks_again_and_once_and_what_others_did_is_played(owner: str, user: str, tmp_path: Path) -> None:
    """The hook comes after the other state's first call, and goes before its last one."""

    async def play() -> None:
        async with hooked(tmp_path) as (session, probe, counted):
            count = ("got[#got + 1] = counted.number('k')", "got.push(await counted.number('k'))")
            await run(session, user, "got = {}; " + count[0], "let got = []; " + count[1], state="other", chunk="cell[1]")
            (name,) = await run(
                session,
                owner,
                "runs = 0; return hooks.after('counted.number', function(c, v) runs = runs + 1; return {value = v + 100} end)",
                "let runs = 0; await hooks.after('counted.number', (c, v) => { runs += 1; return {value: v + 100} })",
                chunk="cell[2]",
            )
            await run(session, user, *count, state="other", chunk="cell[3]")
            await kill(session, owner)
            await run(session, user, *count, state="other", chunk="cell[4]")
            await run(session, user, f"hooks.remove('{name}')", f"await hooks.remove('{name}')", state="other", chunk="cell[5]")
            await run(session, user, *count, state="other", chunk="cell[6]")
            made = len(counted.calls)
            await kill(session, user, "other")
            result = await session.run("got", engine=user, state="other", chunk="cell[7]")
            assert result.values == [[1, 102, 103, 4]]
            assert len(counted.calls) == made == 4
            assert session.sink.text("stderr").count("not cell") == 0  # type: ignore[attr-defined]

    asyncio.run(play())


@every_pair
def test_a_hook_of_a_state_that_waits_for_another_one_is_run_again_when_it_is_restored(owner: str, user: str, tmp_path: Path) -> None:
    """The other state's function makes the call, and the hook belongs to who asked for that."""
    work = {
        "lua": "desk.keep('add', function() return counted.number('k') end)",
        "javascript": "await desk.keep('add', () => counted.number('k'))",
    }

    async def play() -> None:
        async with desk(tmp_path) as (session, _, counted):
            await run(session, user, work["lua"], work["javascript"], state="other", chunk="cell[1]")
            await run(
                session,
                owner,
                "runs = 0; hooks.after('counted.number', function(c, v) runs = runs + 1; return {value = v + 100} end); got = desk.run('add', 0)",
                "let runs = 0; await hooks.after('counted.number', (c, v) => { runs += 1; return {value: v + 100} });"
                " let got = await desk.run('add', 0)",
                chunk="cell[2]",
            )
            await kill(session, owner)
            assert await run(session, owner, "return {runs, got}", "[runs, got]", chunk="cell[3]") == [[1, 101]]
            assert len(counted.calls) == 1
            assert "not cell" not in session.sink.text("stderr")  # type: ignore[attr-defined]

    asyncio.run(play())


@every_engine
def test_an_argument_that_holds_a_function_stays_as_it_is_and_a_number_of_another_kind_is_a_change(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(
                session,
                engine,
                "hooks.before('probe.echo', function(c) seen = c.arguments[1]; return {arguments = {true}} end)",
                "let seen; await hooks.before('probe.echo', c => { seen = c.arguments[0]; return {arguments: [true]} })",
            )
            assert await run(session, engine, "probe.echo(1)", "await probe.echo(1)") == [True]
            with pytest.raises(SpellError, match="function"):  # as without a hook: it was not replaced
                raise_on = await run(session, engine, "probe.echo({f = function() end})", "await probe.echo({f: () => 1})")
                raise ScriptError(f"a function came back: {raise_on}")
            assert await run(session, engine, "seen", "seen") == [{"f": "<function>"}]

    asyncio.run(play())


@every_engine
def test_a_copy_of_a_state_goes_through_its_cells_with_its_own_hooks(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, counted):
            await run(session, engine, "a = counted.number('k')", "let a = await counted.number('k')", chunk="cell[1]")
            await run(
                session,
                engine,
                "hooks.after('counted.number', function(c, v) return {value = v + 100} end); b = counted.number('k')",
                "await hooks.after('counted.number', (c, v) => ({value: v + 100})); let b = await counted.number('k')",
                chunk="cell[2]",
            )
            restored = await session.fork("copy", engine)
            assert list(restored.left_out) == []
            assert await run(session, engine, "return {a, b}", "[a, b]", state="copy") == [[1, 102]]
            assert len(counted.calls) == 2

    asyncio.run(play())


@every_engine
def test_a_hook_goes_with_its_state(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(session, engine, *SUFFIX)
            await session.forget("main", engine)
            assert await run(session, engine, *ECHO, state="other") == ["x"]
            assert await run(session, engine, "#hooks.list()", "(await hooks.list()).length", state="other") == [0]
            assert "is gone with the state" in session.sink.text("stderr")  # type: ignore[attr-defined]

    asyncio.run(play())


@every_engine
def test_text_of_models_is_seen_and_a_hook_sees_no_secret(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, probe, _):
            session.secrets.set("token", "tok-0f-the-hooks-tests", hosts=["api.example.com"])
            probe.answer = "it is tok-0f-the-hooks-tests"
            await run(
                session,
                engine,
                "hooks.after('probe.give', function(c, v) seen = v; return {value = v .. '.'} end)",
                "let seen; await hooks.after('probe.give', (c, v) => { seen = v; return {value: v + '.'} })",
            )
            assert await run(session, engine, "probe.give()", "await probe.give()") == ["it is [secret token]."]
            assert await run(session, engine, "seen", "seen") == ["it is [secret token]"]

    asyncio.run(play())


@every_engine
def test_background_work_meets_hooks_of_its_own_state(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(session, engine, *SUFFIX)
            await run(
                session,
                engine,
                "async.spawn(function() sleep(0.01); got = probe.echo('late') end)",
                "let got; setTimeout(async () => { got = await probe.echo('late') }, 10); null",
            )
            async with asyncio.timeout(20):
                await session.background_ended()
                assert await run(session, engine, "got", "got") == ["late more"]

    asyncio.run(play())


@every_engine
@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("probe.eco", "'probe.eco' fits no call of an installed bridge; did you mean 'probe.echo' or 'probe.count' or 'probe.*'?"),
        ("probe", "'probe' fits no call of an installed bridge; it names bridge and method, as 'llm.*' does"),
        ("mail.send", "'mail.send' fits no call of an installed bridge"),
        ("probe.*", ""),
        ("agent.step", ""),
        ("agent.tool:web_*", ""),
        ("llm.stream.*", ""),
        ("host.later", ""),
    ],
)
def test_a_hook_that_no_call_meets_is_told_of_and_stays(pattern: str, told: str, engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(session, engine, f"hooks.before('{pattern}', function() end)", f"await hooks.before('{pattern}', () => {{}})")
            assert isinstance(session.sink, Recording)
            assert session.sink.text("stderr") == (f"[hooks: {told}]\n" if told else "")
            known = await session.call_bridge("hooks", "list")
            assert isinstance(known, list) and [hook["pattern"] for hook in known if isinstance(hook, dict)] == [pattern]

    asyncio.run(play())
