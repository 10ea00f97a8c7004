"""Agents together, agents that scripts write, and the user's word before a tool is called."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.errors import SpellError
from llmspell_kernel.journal.events import CallStarted
from llmspell_kernel.services.llm.local import local_weights
from tests.session.test_approval import Scripted as Approver
from tests.session.test_kept_functions import kill

from .agent_world import ENGINES, agents, call, run

every_engine = pytest.mark.parametrize("engine", ENGINES)


def lua_js(lua: str, javascript: str) -> dict[str, str]:
    return {"lua": lua, "javascript": javascript}


PAIR = lua_js(
    'a = agent.create{name = "front", system = "front"} b = agent.create{name = "back", system = "back", description = "knows more"}',
    "let a = await agent.create({name: 'front', system: 'front'});"
    " let b = await agent.create({name: 'back', system: 'back', description: 'knows more'});",
)


@every_engine
def test_an_agent_is_a_tool_of_another_one_and_begins_anew_each_time(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'b:run("mine") a:add_tool(b:as_tool("ask_back")) local r = a:run("x") return {r.text, r.usage.requests, #b:messages()}',
        "await b.run('mine'); await a.addTool(await b.asTool('ask_back')); const r = await a.run('x');"
        " [r.text, r.usage.requests, (await b.messages()).length]",
    )

    async def play() -> None:
        async with agents(tmp_path, "mine", call("ask_back", {"input": "q"}), "inner", "outer") as told:
            await run(told.session, engine, PAIR)
            assert await run(told.session, engine, cell) == [["outer", 3, 2]]
            assert [message["content"] for message in told.model.seen[2].messages] == ["back", "q"]
            (tool,) = told.model.seen[1].options.tools or []
            assert tool["description"] == "knows more" and tool["parameters"]["required"] == ["input"]
            calls = {event.call: event for event in told.session.recorder if isinstance(event, CallStarted)}
            within = [event for event in calls.values() if event.bridge == "llm"][2]
            assert within.parent is not None and calls[within.parent].method == "ask"

    asyncio.run(play())


@every_engine
def test_what_an_agent_uses_counts_for_the_one_that_asked_it(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'c = agent.create{tools = {b:as_tool()}, limits = {requests = 2}} c:run("x")',
        "const c = await agent.create({tools: [await b.asTool()], limits: {requests: 2}}); await c.run('x')",
    )

    async def play() -> None:
        async with agents(tmp_path, call("ask_back", {"input": "q"}), "inner", "never said") as told:
            await run(told.session, engine, PAIR)
            with pytest.raises(SpellError, match="limit of 2 requests"):
                await run(told.session, engine, cell)
            assert len(told.model.seen) == 2

    asyncio.run(play())


@every_engine
def test_agents_that_ask_each_other_without_end_are_stopped(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'a:add_tool(b:as_tool()) b:add_tool(a:as_tool()) a:run("x")',
        "await a.addTool(await b.asTool()); await b.addTool(await a.asTool()); await a.run('x')",
    )

    async def play() -> None:
        answers = [call(name, {"input": "you"}) for _ in range(6) for name in ("ask_back", "ask_front")]
        async with agents(tmp_path, *answers) as told:
            await run(told.session, engine, PAIR)
            with pytest.raises(SpellError, match="agents call agents 8 deep"):
                await run(told.session, engine, cell)

    asyncio.run(play())


@every_engine
def test_a_handoff_gives_the_whole_conversation_and_both_have_it_afterwards(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'a:add_tool(agent.handoff(b)) local r = a:run("x") return {r.text, r.agent, r.steps, #a:messages(), #b:messages()}',
        "await a.addTool(await agent.handoff(b)); const r = await a.run('x');"
        " [r.text, r.agent, r.steps, (await a.messages()).length, (await b.messages()).length]",
    )

    async def play() -> None:
        async with agents(tmp_path, call("transfer_to_back", {"reason": "hard"}), "from b", "again a") as told:
            await run(told.session, engine, PAIR)
            assert await run(told.session, engine, cell) == [["from b", "back", 2, 4, 4]]
            assert [message["content"] for message in told.model.seen[1].messages] == [
                "back",
                "x",
                None,
                "The conversation is handed over.",
            ]
            assert await run(told.session, engine, lua_js('a:run("y").text', "(await a.run('y')).text")) == ["again a"]
            assert [message["role"] for message in told.model.seen[2].messages] == [
                "system",
                "user",
                "assistant",
                "tool",
                "assistant",
                "user",
            ]

    asyncio.run(play())


@every_engine
def test_a_conversation_that_is_handed_to_and_fro_without_end_is_stopped(engine: str, tmp_path: Path) -> None:
    cell = lua_js('agent.team{agents = {"front", "back"}}:run("x")', "await (await agent.team({agents: ['front', 'back']})).run('x')")

    async def play() -> None:
        answers = [call(f"transfer_to_{name}") for _ in range(20) for name in ("back", "front")]
        async with agents(tmp_path, *answers) as told:
            await run(told.session, engine, PAIR)
            with pytest.raises(SpellError, match="went from agent to agent 20 times"):
                await run(told.session, engine, cell)

    asyncio.run(play())


@every_engine
def test_a_team_hands_over_and_goes_on_with_who_answered_last(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'local t = agent.team({a, b}) local r = t:run("x") local who = t:active() t:run("y") return {r.text, r.usage.requests, who}',
        "const t = await agent.team([a, b]); const r = await t.run('x'); const who = await t.active(); await t.run('y');"
        " [r.text, r.usage.requests, who]",
    )

    async def play() -> None:
        async with agents(tmp_path, call("transfer_to_back"), "from b", "b again") as told:
            await run(told.session, engine, PAIR)
            assert await run(told.session, engine, cell) == [["from b", 2, "back"]]
            assert told.model.seen[2].messages[0]["content"] == "back"

    asyncio.run(play())


@every_engine
def test_a_sequence_gives_each_what_the_one_before_it_gave(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'local r = agent.team({a, b}, {mode = "sequence"}):run("x") return {r.text, r.agent, r.steps, r.usage.requests}',
        "const r = await (await agent.team([a, b], {mode: 'sequence'})).run('x'); [r.text, r.agent, r.steps, r.usage.requests]",
    )

    async def play() -> None:
        async with agents(tmp_path, "draft", "final") as told:
            await run(told.session, engine, PAIR)
            assert await run(told.session, engine, cell) == [["final", "back", 2, 2]]
            assert told.model.seen[1].messages[-1]["content"] == "draft"

    asyncio.run(play())


@every_engine
def test_a_supervisor_has_the_others_as_tools_within_limits_for_all(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'agent.team({a, b}, {mode = "supervisor", limits = {requests = 2}}):run("x")',
        "await (await agent.team([a, b], {mode: 'supervisor', limits: {requests: 2}})).run('x')",
    )

    async def play() -> None:
        async with agents(tmp_path, call("ask_back", {"input": "q"}), "inner", "never said") as told:
            await run(told.session, engine, PAIR)
            with pytest.raises(SpellError, match="the team met its limit of 2 requests"):
                await run(told.session, engine, cell)
            assert len(told.model.seen) == 2

    asyncio.run(play())


@every_engine
def test_tools_that_members_call_count_for_the_team(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'a:add_tool("add") agent.team({a, b}, {mode = "sequence", limits = {tool_calls = 1}}):run("x")',
        "await a.addTool('add'); await (await agent.team([a, b], {mode: 'sequence', limits: {toolCalls: 1}})).run('x')",
    )

    async def play() -> None:
        async with agents(tmp_path, call("add", {"a": 1, "b": 1}), call("add", {"a": 1, "b": 1}), "never said") as told:
            await run(told.session, engine, PAIR)
            with pytest.raises(SpellError, match="the team met its limit of 1 tool calls"):
                await run(told.session, engine, cell)
            assert len(told.tools.calls) == 1

    asyncio.run(play())


@every_engine
def test_a_team_needs_two(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with agents(tmp_path) as told:
            await run(told.session, engine, PAIR)
            with pytest.raises(SpellError, match="at least two agents"):
                await run(told.session, engine, lua_js("agent.team({a, a})", "await agent.team([a, a])"))
            with pytest.raises(SpellError, match="there is no agent 'frnt'; did you mean 'front'"):
                await run(told.session, engine, lua_js('agent.team{agents = {"frnt"}}', "await agent.team({agents: ['frnt']})"))

    asyncio.run(play())


@every_engine
def test_agents_of_scripts_answer_stream_and_are_tools(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'agent.register("shout", function(input) return input:upper() end)'
        ' agent.register("count", {execute = function(n) return {n = n} end, stream = function(input, n) if n <= 2 then return input .. n end end})'
        ' local seen = {} for e in agent.get("count"):stream("x") do seen[#seen + 1] = e.text or e.type end'
        ' local c = agent.create{tools = {agent.get("shout"):as_tool()}}'
        ' return {agent.run("shout", "hi").text, agent.run("count", 3).output.n, seen, c:run("go").text}',
        "await agent.register('shout', input => input.toUpperCase());"
        " await agent.register('count', {execute: n => ({n}), stream: (input, n) => n <= 2 ? input + n : null});"
        " const seen = []; for await (const e of await (await agent.get('count')).stream('x')) seen.push(e.text ?? e.type);"
        " const c = await agent.create({tools: [await (await agent.get('shout')).asTool()]});"
        " [(await agent.run('shout', 'hi')).text, (await agent.run('count', 3)).output.n, seen, (await c.run('go')).text]",
    )

    async def play() -> None:
        async with agents(tmp_path, call("ask_shout", {"input": "psst"}), "said") as told:
            assert await run(told.session, engine, cell) == [["HI", 3, ["x1", "x2", "done"], "said"]]
            assert told.model.seen[1].messages[-1]["content"] == "PSST"
            await kill(told.session, engine)
            again = lua_js('agent.run("shout", "still").text', "(await agent.run('shout', 'still')).text")
            assert await run(told.session, engine, again, "other") == ["STILL"]

    asyncio.run(play())


@every_engine
@pytest.mark.parametrize("asked", [2, 100], ids=["while it works", "while it waits to be read"])
def test_a_scripts_agent_that_is_read_in_a_later_cell_is_told_and_waits_for_nobody_for_ever(
    asked: int, engine: str, tmp_path: Path
) -> None:
    # it goes ahead of its reader, until it has said much, or is in the middle of that
    begin = lua_js(
        'said = 0 agent.register("count", {execute = tostring, stream = function(input, n) said = n if n <= 500 then return input .. n end end})'
        f' s = agent.get("count"):stream("x") local first = s:next().text while said < math.min({asked}, 32) do sleep(0.01) end return first',
        "let said = 0; await agent.register('count', {execute: String, stream: (input, n) => { said = n; return n <= 500 ? input + n : null }});"
        " let s = await (await agent.get('count')).stream('x'); const first = (await s.next()).text;"
        f" while (said < Math.min({asked}, 32)) await sleep(0.01); first",
    )
    rest = lua_js(
        "local read = 1 local ok, e = pcall(function() for _ in s do read = read + 1 end end) return {ok, e.code, read < 500}",
        "let read = 1, code; try { for await (const _ of s) read++ } catch (e) { code = e.code } [code === undefined, code, read < 500]",
    )

    async def play() -> None:
        async with agents(tmp_path) as told:
            assert await run(told.session, engine, begin) == ["x1"]
            [[ended_well, code, is_cut]] = await run(told.session, engine, rest)
            assert (ended_well, code in ("busy", "stopped"), is_cut) == (False, True, True)

    asyncio.run(play())


@every_engine
@pytest.mark.parametrize(
    ("lua", "javascript", "code", "told"),
    [
        ('tools = {"add"}, approve = {"ad"}', 'tools: ["add"], approve: ["ad"]', "argument", "approve names 'ad'.*did you mean 'add'"),
        ('model = "spell/lokal"', 'model: "spell/lokal"', "unknown_model", "did you mean 'spell/local'"),
        ('model = "spell/local", tools = {"add"}', 'model: "spell/local", tools: ["add"]', "unsupported_option", "cannot call tools"),
    ],
)
def test_what_can_never_work_is_refused_when_the_agent_is_made(
    lua: str, javascript: str, code: str, told: str, engine: str, tmp_path: Path
) -> None:
    async def play() -> None:
        async with agents(tmp_path) as here:
            with pytest.raises(SpellError, match=told) as caught:
                await run(here.session, engine, lua_js(f"agent.create{{{lua}}}", f"await agent.create({{{javascript}}})"))
            assert caught.value.code == code
            assert await run(here.session, engine, lua_js("#agent.list()", "(await agent.list()).length")) == [0]

    asyncio.run(play())


@every_engine
def test_agents_are_found_listed_and_closed_by_name(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'local l = agent.list() a:close() local ok, e = pcall(agent.get, "front") return {#l, l[1].name, l[2].kind, e.code, #agent.list()}',
        "const l = await agent.list(); await a.close(); let e; try { await agent.get('front') } catch (x) { e = x }"
        " [l.length, l[0].name, l[1].kind, e.code, (await agent.list()).length]",
    )

    async def play() -> None:
        async with agents(tmp_path) as told:
            await run(told.session, engine, PAIR)
            assert await run(told.session, engine, cell) == [[2, "front", "model", "unknown_agent", 1]]

    asyncio.run(play())


@every_engine
@pytest.mark.parametrize("which", ["all", "named"])
def test_the_user_is_asked_before_a_tool_and_a_no_is_told_to_the_model(engine: str, which: str, tmp_path: Path) -> None:
    approve = {"all": ("true", "true"), "named": ('{"add"}', '["add"]')}[which]
    cell = lua_js(
        f'a = agent.create{{name = "careful", tools = {{"add"}}, approve = {approve[0]}}} return a:run("x").text',
        f'let a = await agent.create({{name: "careful", tools: ["add"], approve: {approve[1]}}}); (await a.run("x")).text',
    )

    async def play() -> None:
        approver = Approver(True, False)
        answers = [call("add", {"a": 1, "b": 2}), call("add", {"a": 3, "b": 4}), "as you like"]
        async with agents(tmp_path, *answers, approver=approver) as told:
            assert await run(told.session, engine, cell) == ["as you like"]
            assert told.tools.calls == [("add", {"a": 1, "b": 2})]
            assert told.model.seen[2].messages[-1]["content"].startswith("The user refused this call")
            assert "asks to call tools.call (level: read)" in approver.asked[0].text and '"b": 2' in approver.asked[0].text
            assert approver.asked[0].reason == "approve of the agent 'careful'"
            await kill(told.session, engine)
            again = await run(told.session, engine, lua_js("#a:messages()", "(await a.messages()).length"), chunk="cell[2]")
            assert again == [6] and len(approver.asked) == 2

    asyncio.run(play())


@pytest.mark.skipif(local_weights() is None, reason="spell/local is not installed")
@every_engine
def test_a_tool_loop_asks_a_real_model(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'local small = agent.create{name = "small", model = "spell/local", settings = {max_tokens = 8, temperature = 0}}'
        ' local a = agent.create{tools = {small:as_tool()}} return a:run("go").text',
        "const small = await agent.create({name: 'small', model: 'spell/local', settings: {maxTokens: 8, temperature: 0}});"
        " const a = await agent.create({tools: [await small.asTool()]}); (await a.run('go')).text",
    )

    async def play() -> None:
        async with agents(tmp_path, call("ask_small", {"input": "Say hello."}), "It spoke.") as told:
            assert await run(told.session, engine, cell) == ["It spoke."]
            assert told.model.seen[1].messages[-1]["content"].strip()

    asyncio.run(play())


@every_engine
def test_an_agent_of_a_script_gives_all_that_an_agent_of_a_model_gives(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'agent.register("shout", function(input) return input:upper() end) return {agent.create{}:run("x"), agent.run("shout", "hi")}',
        "await agent.register('shout', input => input.toUpperCase()); [await (await agent.create({})).run('x'), await agent.run('shout', 'hi')]",
    )

    async def play() -> None:
        async with agents(tmp_path, "said") as told:
            ((model, script),) = await run(told.session, engine, cell)  # type: ignore[misc]
            assert isinstance(model, dict) and isinstance(script, dict)
            assert set(model) == set(script)
            assert set(script["usage"]) == set(model["usage"]) and set(script["usage"].values()) == {0}  # type: ignore[arg-type,union-attr]
            assert [script[key] for key in ("text", "cost_usd", "model", "finish_reason", "steps", "messages")] == ["HI", 0, "", "", 0, 0]

    asyncio.run(play())


@every_engine
def test_a_team_in_which_an_agent_of_a_script_can_do_nothing_is_refused_when_it_is_made(engine: str, tmp_path: Path) -> None:
    register = lua_js('s = agent.register("shout", string.upper)', "var s = await agent.register('shout', x => x.toUpperCase())")
    refused = [
        lua_js('agent.team({s, a}, {mode = "supervisor"})', "await agent.team([s, a], {mode: 'supervisor'})"),
        lua_js("agent.team({s, a})", "await agent.team([s, a])"),
        lua_js("agent.team({a, s})", "await agent.team([a, s])"),
        lua_js('agent.team{agents = {"front", "shout"}}', "await agent.team({agents: ['front', 'shout']})"),
    ]
    taken = lua_js(
        'agent.team({a, s}, {mode = "supervisor"}) return agent.team({s, s2}, {mode = "sequence"}):run("hi").text',
        "await agent.team([a, s], {mode: 'supervisor'}); (await (await agent.team([s, s2], {mode: 'sequence'})).run('hi')).text",
    )
    second = lua_js('s2 = agent.register("twice", function(x) return x .. x end)', "var s2 = await agent.register('twice', x => x + x)")

    async def play() -> None:
        async with agents(tmp_path) as told:
            await run(told.session, engine, PAIR)
            await run(told.session, engine, register)
            await run(told.session, engine, second)
            for cell in refused:
                with pytest.raises(SpellError, match="the agent 'shout' is written by a script, and cannot be .*team"):
                    await run(told.session, engine, cell)
            assert await run(told.session, engine, taken) == ["HIHI"]

    asyncio.run(play())


@every_engine
def test_names_beside_the_agents_of_a_team_are_refused_and_so_are_options_beside_its_names(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with agents(tmp_path) as told:
            await run(told.session, engine, PAIR)
            with pytest.raises(SpellError, match="agents"):
                await run(
                    told.session,
                    engine,
                    lua_js('agent.team({a, b}, {agents = {"nobody"}})', "await agent.team([a, b], {agents: ['nobody']})"),
                )
            with pytest.raises(SpellError, match="leave the second table out"):
                both = lua_js(
                    'agent.team({agents = {"front", "back"}}, {mode = "sequence"})',
                    "await agent.team({agents: ['front', 'back']}, {mode: 'sequence'})",
                )
                await run(told.session, engine, both)

    asyncio.run(play())
