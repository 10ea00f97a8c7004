"""Agents over time: stopped, lost with their state, replayed, saved, loaded elsewhere."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.errors import ReplayError, SpellError
from llmspell_kernel.services.agents.messages import STOPPED
from llmspell_kernel.services.llm.models import Request
from llmspell_kernel.services.llm.scripted import Scripted
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import Value
from tests.session.test_kept_functions import kill

from .agent_world import ENGINES, agents, call, run

every_engine = pytest.mark.parametrize("engine", ENGINES)
every_pair = pytest.mark.parametrize(("owner", "user"), list(product(ENGINES, ENGINES)))
CREATE = {
    "lua": 'n = 0; a = agent.create{name = "counter", tools = {"add", {name = "own", run = function() n = n + 1 return n end}}}',
    "javascript": "let n = 0; let a = await agent.create({name: 'counter', tools: ['add', {name: 'own', run: () => ++n}]});",
}
N = {"lua": "n", "javascript": "n"}
MESSAGES = {"lua": "a:messages()", "javascript": "await a.messages()"}


def ask(text: str) -> dict[str, str]:
    return {"lua": f'a:run("{text}").text', "javascript": f'(await a.run("{text}")).text'}


def by_name(text: str) -> dict[str, str]:
    return {"lua": f'agent.run("counter", "{text}").text', "javascript": f'(await agent.run("counter", "{text}")).text'}


class Door(Bridge):
    """Waits until it is stopped."""

    name = "door"

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    @method
    async def wait(self, ctx: Context) -> None:
        """Waits."""
        self.reached.set()
        await asyncio.Event().wait()


@every_engine
def test_an_agent_comes_back_with_its_state_its_functions_and_its_conversation(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with agents(tmp_path, call("own"), "first", call("own"), call("add", {"a": 1, "b": 2}), "second") as told:
            await run(told.session, engine, CREATE, chunk="cell[1]")
            assert await run(told.session, engine, ask("one"), chunk="cell[2]") == ["first"]
            before = await run(told.session, engine, MESSAGES, chunk="cell[3]")
            await kill(told.session, engine)
            assert await run(told.session, engine, MESSAGES, chunk="cell[4]") == before
            assert len(told.model.seen) == 2
            assert await run(told.session, engine, ask("two"), chunk="cell[5]") == ["second"]
            assert await run(told.session, engine, N, chunk="cell[6]") == [2]
            assert [m["content"] for m in told.model.seen[-1].messages][-4:] == [None, "2", None, "3"]

    asyncio.run(play())


@every_pair
def test_what_other_states_have_said_to_an_agent_stays_when_either_state_comes_back(owner: str, user: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with agents(tmp_path, "A", call("own"), "B", "C", "D", "E") as told:
            await run(told.session, owner, CREATE, "one", "cell[1]")
            await run(told.session, owner, ask("a"), "one", "cell[2]")
            assert await run(told.session, user, by_name("b"), "two", "cell[3]") == ["B"]
            await run(told.session, owner, ask("c"), "one", "cell[4]")
            whole = await run(told.session, owner, MESSAGES, "one", "cell[5]")
            await kill(told.session, owner, "one")
            assert await run(told.session, owner, MESSAGES, "one", "cell[6]") == whole
            await kill(told.session, user, "two")
            assert await run(told.session, user, by_name("d"), "two", "cell[7]") == ["D"]
            await kill(told.session, owner, "one")
            assert await run(told.session, user, by_name("e"), "two", "cell[8]") == ["E"]
            assert len(told.model.seen) == 6
            texts = [message["content"] for message in told.model.seen[-1].messages if message["content"]]
            assert texts == ["a", "A", "b", "1", "B", "c", "C", "d", "D", "e"]

    asyncio.run(play())


@every_engine
def test_a_run_that_is_stopped_in_a_tool_leaves_an_agent_that_goes_on(engine: str, tmp_path: Path) -> None:
    create = {
        "lua": 'a = agent.create{tools = {"add", {name = "hang", run = function() door.wait() end}}}',
        "javascript": "let a = await agent.create({tools: ['add', {name: 'hang', run: async () => { await door.wait() }}]});",
    }
    both = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 1}, "id": "c1"}, {"name": "hang", "arguments": {}, "id": "c2"}]}

    async def play() -> None:
        door = Door()
        async with agents(tmp_path, both, "after", extra=[door]) as told:
            await run(told.session, engine, create)
            going = asyncio.ensure_future(run(told.session, engine, ask("x")))
            await door.reached.wait()
            told.session.interrupt()
            with pytest.raises(SpellError, match="stopped"):
                await going
            (messages,) = await run(told.session, engine, MESSAGES)
            results = [(m["tool_call_id"], m["content"]) for m in messages if m["role"] == "tool"]  # type: ignore[union-attr,index,call-overload]
            assert results == [("c1", "2"), ("c2", STOPPED)]
            assert await run(told.session, engine, ask("y")) == ["after"]

    asyncio.run(play())


@every_engine
def test_an_agent_of_a_cell_that_was_stopped_is_found_by_its_name(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'a = agent.create{name = "kept", tools = {{name = "hang", run = function() door.wait() end}}} a:run("x")',
        "javascript": "var a = await agent.create({name: 'kept', tools: [{name: 'hang', run: async () => { await door.wait() }}]}); await a.run('x')",
    }
    again = {"lua": 'agent.get("kept"):run("y").text', "javascript": "(await (await agent.get('kept')).run('y')).text"}

    async def play() -> None:
        door = Door()
        async with agents(tmp_path, call("hang"), "after", extra=[door]) as told:
            going = asyncio.ensure_future(run(told.session, engine, cell))
            await door.reached.wait()
            told.session.interrupt()
            with pytest.raises(SpellError, match="stopped"):
                await going
            assert await run(told.session, engine, again) == ["after"]

    asyncio.run(play())


@every_engine
def test_a_replay_asks_no_model_and_no_tool_and_comes_to_the_same(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'local a = agent.create{tools = {"add", {name = "own", run = function() return 7 end}}} local r = a:run("x") local seen = {}'
        ' for e in a:stream("y") do seen[#seen + 1] = e.type end return {r.text, r.usage, seen, a:messages()}',
        "javascript": "const a = await agent.create({tools: ['add', {name: 'own', run: () => 7}]}); const r = await a.run('x'); const seen = [];"
        " for await (const e of await a.stream('y')) seen.push(e.type); [r.text, r.usage, seen, await a.messages()]",
    }

    async def play(mode: Any, *answers: Any) -> tuple[list[Value], int, int]:
        async with agents(tmp_path, *answers) as told:
            told.session.tape(mode, tmp_path / "a.jsonl")
            values = await run(told.session, engine, cell)
            return values, len(told.model.seen), len(told.tools.calls)

    answers = [call("add", {"a": 1, "b": 2}), call("own"), "one", call("nope"), "two three"]
    recorded, asked, used = asyncio.run(play("record", *answers))
    replayed, asked_again, used_again = asyncio.run(play("replay"))
    assert recorded == replayed
    assert (asked, used, asked_again, used_again) == (5, 1, 0, 0)


@every_engine
def test_a_tool_that_is_not_on_the_cassette_is_told_to_the_user_and_not_to_the_model(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": "return agent.create{tools = {'add'}}:run('x').text",
        "javascript": "(await (await agent.create({tools: ['add']})).run('x')).text",
    }
    file = tmp_path / "a.jsonl"

    async def play(mode: Any, *answers: Any) -> list[Value]:
        async with agents(tmp_path, *answers) as told:
            told.session.tape(mode, file)
            return await run(told.session, engine, cell)

    assert asyncio.run(play("record", call("add", {"a": 1, "b": 2}), "three")) == ["three"]
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if "tools.call" not in line))
    with pytest.raises(ReplayError, match=r"tools\.call is not on"):
        asyncio.run(play("replay"))


@every_pair
def test_a_saved_agent_goes_on_in_another_session_and_language(owner: str, user: str, tmp_path: Path) -> None:
    save = {"lua": "a:save()", "javascript": "await a.save()"}
    load = {
        "lua": "a = agent.load(data, {tools = {{name = 'own', run = function() return 'new' end}}}); return a:run('two').text",
        "javascript": "const a = await agent.load(data, {tools: [{name: 'own', run: () => 'new'}]}); (await a.run('two')).text",
    }
    bare = {"lua": "agent.load(data)", "javascript": "await agent.load(data)"}

    async def first() -> Any:
        async with agents(tmp_path, call("own"), "first") as told:
            await run(told.session, owner, CREATE)
            await run(told.session, owner, ask("one"))
            return (await run(told.session, owner, save))[0]

    async def second(data: Any) -> None:
        async with agents(tmp_path, call("own"), "second") as told:
            with pytest.raises(SpellError, match="functions cannot be saved: give them .*: own"):
                await one(told, bare, data)
            assert await one(told, load, data) == ["second"]
            texts = [message["content"] for message in told.model.seen[-1].messages]
            assert texts == ["one", None, "1", "first", "two", None, "new"]

    async def one(told: Any, cell: dict[str, str], data: Any) -> list[Value]:
        result = await told.session.run(cell[user], engine=user, chunk="cell[1]", inputs={"data": data})
        if result.error is not None:
            raise result.error
        return result.values  # type: ignore[no-any-return]

    data = asyncio.run(first())
    assert data["format"] == "llmspell.agent/1"
    asyncio.run(second(json.loads(json.dumps(data))))


@every_engine
def test_a_saved_agent_goes_through_its_own_language_and_comes_back(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'local a = agent.create{} a:run("x") local b = agent.load(a:save()) return b:messages()',
        "javascript": 'const a = await agent.create({}); await a.run("x"); const b = await agent.load(await a.save()); await b.messages()',
    }

    async def play() -> None:
        async with agents(tmp_path, "y") as told:
            (messages,) = await run(told.session, engine, cell)
            assert [message["content"] for message in messages] == ["x", "y"]  # type: ignore[union-attr,index,call-overload]

    asyncio.run(play())


async def speaking(model: Scripted) -> None:
    """Comes back once the model has its question: before that a stop would leave its answer to the next one."""
    asked = asyncio.Event()

    class Seen(list[Request]):
        def append(self, request: Request) -> None:
            super().append(request)
            asked.set()

    model.seen = Seen(model.seen)
    if not model.seen:
        await asked.wait()


@every_engine
def test_a_run_that_is_stopped_while_its_model_speaks_leaves_an_agent_that_goes_on(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with agents(tmp_path, {"text": "never said", "delay_s": 60.0}, "after") as told:
            await run(told.session, engine, CREATE)
            going = asyncio.ensure_future(run(told.session, engine, ask("x")))
            await speaking(told.model)
            told.session.interrupt()
            with pytest.raises(SpellError, match="stopped"):
                await going
            assert await run(told.session, engine, ask("y")) == ["after"]
            assert [message["content"] for message in told.model.seen[-1].messages] == ["x", "y"]

    asyncio.run(play())


@every_engine
def test_a_stream_that_is_closed_stops_its_run_and_the_agent_goes_on(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'local s = a:stream("x") local first = s:next() s:close() return first.text, a:run("y").text, #a:messages()',
        "javascript": 'const s = await a.stream("x"); const first = await s.next(); await s.close();'
        ' [first.text, (await a.run("y")).text, (await a.messages()).length]',
    }

    async def play() -> None:
        async with agents(tmp_path, {"chunks": ["one ", "two "], "error": {"message": "cut"}}, "after") as told:
            await run(told.session, engine, CREATE)
            values = await run(told.session, engine, cell)
            assert (values if engine == "lua" else values[0]) == ["one ", "after", 3]

    asyncio.run(play())


@every_engine
def test_agents_come_back_with_saved_states(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        file = tmp_path / "states.jsonl"
        async with agents(tmp_path, call("own"), "first") as told:
            await run(told.session, engine, CREATE, chunk="cell[1]")
            await run(told.session, engine, ask("one"), chunk="cell[2]")
            before = await run(told.session, engine, MESSAGES, chunk="cell[3]")
            told.session.save(file)
        async with agents(tmp_path, call("own"), "second") as told:
            await told.session.resume(file)
            assert await run(told.session, engine, MESSAGES, chunk="cell[4]") == before
            assert await run(told.session, engine, ask("two"), chunk="cell[5]") == ["second"]
            assert await run(told.session, engine, N, chunk="cell[6]") == [2]

    asyncio.run(play())


@every_engine
def test_a_run_that_failed_comes_back_as_it_failed(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'b = agent.create{max_steps = 1, tools = {"add"}} ok, e = pcall(function() return b:run("x") end)',
        "javascript": "let b = await agent.create({maxSteps: 1, tools: ['add']}), e; try { await b.run('x') } catch (x) { e = x.code }",
    }
    after = {"lua": "{e.code, #b:messages(), b:run('y').text}", "javascript": "[e, (await b.messages()).length, (await b.run('y')).text]"}

    async def play() -> None:
        async with agents(tmp_path, call("add", {"a": 1, "b": 1}), "later", settings=Settings(budgets={"cell_steps": 1})) as told:
            await run(told.session, engine, cell, chunk="cell[1]")
            await kill(told.session, engine)
            assert await run(told.session, engine, after, chunk="cell[2]") == [["limit", 3, "later"]]

    asyncio.run(play())


@every_pair
def test_what_another_state_changed_of_an_agent_is_not_changed_again_when_that_state_comes_back(
    owner: str, user: str, tmp_path: Path
) -> None:
    change = {
        "lua": 'b = agent.get("counter") b:set_system("theirs") was = b:remove_tool("add")',
        "javascript": "var b = await agent.get('counter'); await b.setSystem('theirs'); var was = await b.removeTool('add')",
    }
    back = {"lua": 'a:set_system("mine") a:add_tool("add")', "javascript": "await a.setSystem('mine'); await a.addTool('add')"}

    async def play() -> None:
        async with agents(tmp_path, "A") as told:
            await run(told.session, owner, CREATE, "one", "cell[1]")
            await run(told.session, user, change, "two", "cell[2]")
            await run(told.session, owner, back, "one", "cell[3]")
            await kill(told.session, user, "two")
            await run(told.session, user, {"lua": "was", "javascript": "was"}, "two", "cell[4]")
            await run(told.session, owner, ask("x"), "one", "cell[5]")
            (request,) = told.model.seen
            assert request.messages[0]["content"] == "mine"
            assert [tool["name"] for tool in request.options.tools or []] == ["own", "add"]

    asyncio.run(play())
