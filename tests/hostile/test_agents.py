"""Models that will not stop, ask for what is not there or send too much, and tools that give too much: each meets its limit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import SpellError
from llmspell_kernel.journal.events import CallStarted
from llmspell_kernel.services.agents import roster
from llmspell_kernel.services.agents.showing import RESULT_CHARS
from tests.bridges.agent_world import ENGINES, agents, call, run

every_engine = pytest.mark.parametrize("engine", ENGINES)
CREATE = {"lua": 'a = agent.create{tools = {"add"}}', "javascript": "let a = await agent.create({tools: ['add']});"}
RUN = {"lua": 'a:run("x").text', "javascript": "(await a.run('x')).text"}


@every_engine
def test_a_model_that_calls_tools_for_ever_is_stopped_by_its_steps(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with agents(tmp_path, *[call("add", {"a": 1, "b": 1})] * 30, "alive") as told:
            await run(told.session, engine, CREATE)
            with pytest.raises(SpellError, match="took 20 steps") as raised:
                await run(told.session, engine, RUN)
            assert raised.value.code == "limit" and len(told.model.seen) == 20

    asyncio.run(play())


@every_engine
def test_tools_that_do_not_exist_end_the_run_soon(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        strange = [call("rm -rf /"), call("x" * 100_000), call("\x1b[2J"), call("__import__")]
        async with agents(tmp_path, *[strange[0]] * 5, *strange, "alive") as told:
            await run(told.session, engine, CREATE)
            with pytest.raises(SpellError, match="ended without an answer") as raised:
                await run(told.session, engine, RUN)
            assert len(told.model.seen) == 4 and len(raised.value.message) < 2_000
            assert told.tools.calls == []

    asyncio.run(play())


@every_engine
@pytest.mark.parametrize(
    "arguments",
    [{"a": "x" * 1_000_000, "b": 1}, "x" * 1_000_000, "[1, 2]", "{", '{"a": 1', "null", '{"a": NaN}'],
    ids=lambda value: str(value)[:12],
)
def test_arguments_that_are_too_large_or_no_object_never_reach_a_tool_nor_the_conversation(
    engine: str, arguments: Any, tmp_path: Path
) -> None:
    async def play() -> None:
        async with agents(tmp_path, call("add", arguments), "sorry") as told:
            await run(told.session, engine, CREATE)
            assert await run(told.session, engine, RUN) == ["sorry"]
            assert [arguments for _, arguments in told.tools.calls] == ([{}] if arguments == "null" else [])
            assert sum(len(str(message)) for message in told.model.seen[1].messages) < 10_000

    asyncio.run(play())


@every_engine
def test_a_hundred_tool_calls_in_one_answer_are_refused(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        flood = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 1}, "id": "same"} for _ in range(100)]}
        async with agents(tmp_path, flood, "alive") as told:
            await run(told.session, engine, CREATE)
            with pytest.raises(SpellError, match="100 tool calls at once"):
                await run(told.session, engine, RUN)
            assert told.tools.calls == []
            assert await run(told.session, engine, RUN) == ["alive"]

    asyncio.run(play())


@every_engine
def test_calls_with_one_id_are_told_apart(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        twins = {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": number}, "id": "same"} for number in (1, 2)]}
        async with agents(tmp_path, twins, twins, "done") as told:
            await run(told.session, engine, CREATE)
            assert await run(told.session, engine, RUN) == ["done"]
            results = [
                (message["tool_call_id"], message["content"]) for message in told.model.seen[2].messages if message["role"] == "tool"
            ]
            assert len({number for number, _ in results}) == 4 and [content for _, content in results] == ["2", "3", "2", "3"]

    asyncio.run(play())


@every_engine
def test_a_result_of_megabytes_is_cut_and_says_so(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'local a = agent.create{tools = {{name = "big", run = function() return ("x"):rep(1000000) end}}} return a:run("x").text',
        "javascript": "const a = await agent.create({tools: [{name: 'big', run: () => 'x'.repeat(1000000)}]}); (await a.run('x')).text",
    }

    async def play() -> None:
        async with agents(tmp_path, call("big"), "done") as told:
            assert await run(told.session, engine, cell) == ["done"]
            content = told.model.seen[1].messages[-1]["content"]
            assert len(content) < RESULT_CHARS + 100 and "cut after 200,000 of 1,000,000" in content

    asyncio.run(play())


@every_engine
def test_a_schema_that_backtracks_for_ever_ends_the_run_in_seconds(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'local a = agent.create{output = {type = "object", properties = {t = {pattern = "^(a|a)+$"}}}} return a:run("x").text',
        "javascript": 'const a = await agent.create({output: {type: "object", properties: {t: {pattern: "^(a|a)+$"}}}}); (await a.run("x")).text',
    }

    async def play() -> None:
        async with agents(tmp_path, '{"t": "' + "a" * 60 + '!"}') as told, asyncio.timeout(20):
            with pytest.raises(SpellError, match="backtracks|does not match|ended without"):
                await run(told.session, engine, cell)

    asyncio.run(play())


@every_engine
def test_a_thousand_agents_are_the_most_of_a_session(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'for i = 1, 1001 do agent.register("n" .. i, function() end):close() end return #agent.list()',
        "javascript": "for (let i = 1; i <= 1001; i++) await (await agent.register('n' + i, () => 1)).close(); (await agent.list()).length",
    }
    many = {
        "lua": 'for i = 1, 1001 do agent.register("n" .. i, function() end) end',
        "javascript": "for (let i = 1; i <= 1001; i++) await agent.register('n' + i, () => 1)",
    }

    async def play() -> None:
        async with agents(tmp_path) as told:
            assert await run(told.session, engine, cell) == [0]
            with pytest.raises(SpellError, match="1,000 agents already|open resources"):
                await run(told.session, engine, many)

    asyncio.run(play())


@every_engine
def test_an_agent_that_asks_itself_without_end_is_stopped_and_the_session_goes_on(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'agent.register("self", function(input) return agent.run("self", input).text end) agent.run("self", "x")',
        "javascript": "await agent.register('self', async input => (await agent.run('self', input)).text); await agent.run('self', 'x')",
    }

    async def play() -> None:
        async with agents(tmp_path) as told, asyncio.timeout(60):
            with pytest.raises(SpellError, match="500 runs of agents go on at once"):
                await run(told.session, engine, cell)
            assert await run(told.session, engine, {"lua": "1 + 1", "javascript": "1 + 1"}) == [2]

    asyncio.run(play())


LOAD = {
    "lua": "local big = ('x'):rep(400000) held = {{}} for i = 1, 4 do"
    " held[i] = agent.load{{format = 'llmspell.agent/1', agent = {{name = {name}}}, messages = {{{{role = 'user', content = big}}}}}} end",
    "javascript": "const big = 'x'.repeat(400000); var held = []; for (let i = 1; i <= 4; i++) held.push(await"
    " agent.load({{format: 'llmspell.agent/1', agent: {{name: {name}}}, messages: [{{role: 'user', content: big}}]}}))",
}


@every_engine
@pytest.mark.parametrize("name", ["'same'", "'a' + i"])
def test_all_agents_together_hold_so_many_characters_also_those_that_lost_their_name(
    engine: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "MAX_CHARS", 1_000_000)
    load = LOAD[engine].format(name=name.replace("+", "..") if engine == "lua" else name)
    close = {
        "lua": "for _, one in ipairs(agent.list()) do agent.get(one.name):close() end",
        "javascript": "for (const one of await agent.list()) await (await agent.get(one.name)).close()",
    }
    again = {"lua": "agent.create{system = ('x'):rep(700000)}", "javascript": "await agent.create({system: 'x'.repeat(700000)})"}

    async def play() -> None:
        async with agents(tmp_path) as told:
            with pytest.raises(SpellError, match="would hold 1,2.* characters, 1,000,000 is the most; close those") as raised:
                await run(told.session, engine, {engine: load})
            assert raised.value.code == "limit"
            await run(told.session, engine, close)
            await run(told.session, engine, again)

    asyncio.run(play())


@every_engine
def test_a_conversation_that_outgrows_what_agents_may_hold_stays_as_it_was(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "MAX_CHARS", 10_000)

    async def play() -> None:
        async with agents(tmp_path, "x" * 4_000, "x" * 8_000, "fine") as told:
            await run(told.session, engine, CREATE)
            await run(told.session, engine, RUN)
            with pytest.raises(SpellError, match="10,000 is the most"):
                await run(told.session, engine, RUN)
            count = {"lua": "#a:messages()", "javascript": "(await a.messages()).length"}
            assert await run(told.session, engine, count) == [2]
            assert await run(told.session, engine, RUN) == ["fine"]

    asyncio.run(play())


@every_engine
def test_a_scripts_agent_that_streams_without_end_waits_until_its_pieces_are_read(engine: str, tmp_path: Path) -> None:
    # each call of agent.list gives the run a turn of the event loop, and more: it would be far ahead of its reader
    cell = {
        "lua": "local asked, piece = 0, ('x'):rep(50000) local a = agent.register('flood', {execute = function() end, stream = function(_, n)"
        " asked = n return piece end}) local s = a:stream('x') s:next() for i = 1, 100 do agent.list() end local first = asked"
        " for i = 1, 5 do s:next() end for i = 1, 100 do agent.list() end s:close() return {first, asked}",
        "javascript": "let asked = 0; const piece = 'x'.repeat(50000); const a = await agent.register('flood', {execute: () => 1, stream: (_, n) =>"
        " { asked = n; return piece }}); const s = await a.stream('x'); await s.next(); for (let i = 0; i < 100; i++) await agent.list();"
        " const first = asked; for (let i = 0; i < 5; i++) await s.next(); for (let i = 0; i < 100; i++) await agent.list(); await s.close();"
        " [first, asked]",
    }

    async def play() -> None:
        async with agents(tmp_path) as told:
            assert await run(told.session, engine, cell) == [[5, 10]]

    asyncio.run(play())


@every_engine
@pytest.mark.parametrize(("piece_chars", "most_pieces"), [(4_000_000, 1), (60_000, 17)])
def test_a_scripts_agent_streams_so_many_characters_and_no_more(engine: str, piece_chars: int, most_pieces: int, tmp_path: Path) -> None:
    cell = {
        "lua": f"local asked, piece = 0, ('x'):rep({piece_chars}) local a = agent.register('flood', {{execute = function() end,"
        " stream = function(_, n) asked = n return piece end}) local ok, e = pcall(function() for _ in a:stream('x') do end end)"
        " return {asked, e.code, e.message}",
        "javascript": f"let asked = 0, e; const piece = 'x'.repeat({piece_chars}); const a = await agent.register('flood', {{execute: () => 1,"
        " stream: (_, n) => { asked = n; return piece }}); try { for await (const x of await a.stream('x')); } catch (x) { e = x };"
        " [asked, e.code, e.message]",
    }

    async def play() -> None:
        async with agents(tmp_path) as told:
            ((asked, code, message),) = await run(told.session, engine, cell)  # type: ignore[misc]
            assert asked == most_pieces and code == "limit" and "1,000,000 is the most" in str(message)

    asyncio.run(play())


@every_engine
def test_tools_of_agents_count_what_their_schemas_take(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 180 KB of text are 4 MB of lists in the host
    monkeypatch.setattr(roster, "MAX_CHARS", 4_000_000)
    cell = {
        "lua": "local e = {} for i = 1, 60000 do e[i] = array{} end done, a = 0, agent.create{name = 'b'} for i = 1, 20 do"
        " a:add_tool{name = 't' .. i, parameters = {properties = {a = {enum = e}}}, run = print} done = i end",
        "javascript": "const e = Array.from({length: 60000}, () => []); var done = 0, a = await agent.create({name: 'b'}); for (let i = 1;"
        " i <= 20; i++) { await a.addTool({name: 't' + i, parameters: {properties: {a: {enum: e}}}, run: () => 1}); done = i }",
    }

    async def play() -> None:
        async with agents(tmp_path, "fine") as told:
            with pytest.raises(SpellError, match="4,000,000 is the most"):
                await run(told.session, engine, cell)
            assert await run(told.session, engine, {"lua": "done", "javascript": "done"}) == [2]
            remove = {
                "lua": "a = agent.get('b') a:remove_tool('t1') a:add_tool",
                "javascript": "a = await agent.get('b'); await a.removeTool('t1'); await a.addTool",
            }
            tool = {"lua": "{name = 'small', run = print}", "javascript": "({name: 'small', run: () => 1})"}
            await run(told.session, engine, {engine: remove[engine] + tool[engine]})
            assert await run(told.session, engine, RUN) == ["fine"]

    asyncio.run(play())


@every_engine
def test_messages_without_a_character_count(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "MAX_CHARS", 250_000)
    cell = {
        "lua": "local m = {} for i = 1, 1000 do m[i] = {role = 'user'} end done = 0 for i = 1, 10 do"
        " agent.load{format = 'llmspell.agent/1', agent = {name = 'n' .. i}, messages = m} done = i end",
        "javascript": "const m = Array.from({length: 1000}, () => ({role: 'user'})); var done = 0; for (let i = 1; i <= 10; i++) {"
        " await agent.load({format: 'llmspell.agent/1', agent: {name: 'n' + i}, messages: m}); done = i }",
    }

    async def play() -> None:
        async with agents(tmp_path) as told:
            with pytest.raises(SpellError, match="each message 100 besides its text"):
                await run(told.session, engine, cell)
            assert await run(told.session, engine, {"lua": "done", "javascript": "done"}) == [2]

    asyncio.run(play())


@every_engine
def test_a_list_of_one_tool_again_and_again_is_refused_before_anybody_describes_it(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": "local t = {} for i = 1, 5000 do t[i] = 'add' end agent.create{tools = t}",
        "javascript": "await agent.create({tools: Array(5000).fill('add')})",
    }

    async def play() -> None:
        async with agents(tmp_path) as told:
            with pytest.raises(SpellError, match="5,000 tools are given, and an agent has 128 at the most"):
                await run(told.session, engine, cell)
            assert not [event for event in told.session.recorder if isinstance(event, CallStarted) and event.method == "describe"]

    asyncio.run(play())


@every_engine
def test_a_stream_that_nobody_reads_calls_few_tools_and_holds_no_whole_results(engine: str, tmp_path: Path) -> None:
    begin = {
        "lua": "asked = 0 local big = ('x'):rep(300000) local a = agent.create{tools = {{name = 'big', run = function() asked = asked + 1"
        " return big end}}} local s = a:stream('x') while asked < 32 do agent.list() end for i = 1, 100 do agent.list() end",
        "javascript": "let asked = 0; const big = 'x'.repeat(300000); const a = await agent.create({tools: [{name: 'big', run: () => {"
        " asked++; return big }}]}); const s = await a.stream('x'); while (asked < 32) await agent.list();"
        " for (let i = 0; i < 100; i++) await agent.list();",
    }
    read = {
        "lua": "local first, longest, events = asked, 0, 0 for e in s do events = events + 1"
        " if e.type == 'tool_result' then longest = math.max(longest, #e.result) end end return {first, asked, longest, events}",
        "javascript": "const first = asked; let longest = 0, events = 0; for await (const e of s) { events++;"
        " if (e.type === 'tool_result') longest = Math.max(longest, e.result.length) } [first, asked, longest, events]",
    }

    async def play() -> None:
        async with agents(tmp_path, {"tool_calls": [{"name": "big", "arguments": {}, "id": ""}] * 40}, "fine") as told:
            ((first, asked, longest, events),) = await run(told.session, engine, {engine: f"{begin[engine]} {read[engine]}"})  # type: ignore[misc]
            assert (first, asked, events) == (32, 40, 40 + 40 + 1 + 1)
            assert RESULT_CHARS < longest < RESULT_CHARS + 100

    asyncio.run(play())


@every_engine
def test_arguments_and_results_of_many_small_lists_are_a_text_in_events_and_whole_for_the_tool(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": "local got local a = agent.create{tools = {{name = 'many', run = function(args) got = #args.a return args.a end}}} local kinds ="
        " {} for e in a:stream('x') do if e.arguments then kinds[#kinds + 1] = type(e.arguments) .. #e.arguments end if e.type =="
        " 'tool_result' then kinds[#kinds + 1] = type(e.result) .. #e.result end end return {got, kinds}",
        "javascript": "let got; const a = await agent.create({tools: [{name: 'many', run: args => { got = args.a.length; return args.a }}]});"
        " const kinds = []; for await (const e of await a.stream('x')) { if (e.arguments) kinds.push(typeof e.arguments + e.arguments.length);"
        " if (e.type === 'tool_result') kinds.push(typeof e.result + e.result.length) } [got, kinds]",
    }

    async def play() -> None:
        async with agents(tmp_path, call("many", {"a": [[] for _ in range(20_000)]}), "fine") as told:
            assert await run(told.session, engine, cell) == [[20_000, ["string60007", "string60001"]]]

    asyncio.run(play())
