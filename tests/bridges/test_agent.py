"""Agents from scripts: the loop of model and tools, in both languages, on a model that says what it is told to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.errors import SpellError
from llmspell_kernel.journal.events import CallStarted
from llmspell_kernel.services.agents.messages import STOPPED
from llmspell_kernel.settings import Settings

from .agent_world import ENGINES, agents, call, run

every_engine = pytest.mark.parametrize("engine", ENGINES)


@every_engine
def test_an_agent_uses_its_tools_until_it_has_an_answer(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'a = agent.create{name = "sums", system = "add", tools = {"add"}}; local r = a:run("2 + 3?") return r',
        "javascript": 'let a = await agent.create({name: "sums", system: "add", tools: ["add"]}); await a.run("2 + 3?")',
    }

    async def play() -> None:
        async with agents(tmp_path, call("add", {"a": 2, "b": 3}, "c1"), "It is 5.") as told:
            (result,) = await run(told.session, engine, cell)
            assert isinstance(result, dict)
            assert result["text"] == "It is 5." and result["steps"] == 2 and result["messages"] == 4
            assert result["usage"]["requests"] == 2 and result["usage"]["tool_calls"] == 1 and result["cost_usd"] == 0
            assert told.tools.calls == [("add", {"a": 2, "b": 3})]
            first, second = told.model.seen
            assert first.messages == [{"role": "system", "content": "add"}, {"role": "user", "content": "2 + 3?"}]
            assert second.messages[-1] == {"role": "tool", "content": "5", "name": "add", "tool_call_id": "c1"}
            assert [tool["name"] for tool in first.options.tools or []] == ["add"]
            started = [event for event in told.session.recorder if isinstance(event, CallStarted)]
            (outer,) = [event.call for event in started if event.method == "run"]
            inner = [f"{event.bridge}.{event.method}" for event in started if event.parent == outer]
            assert inner == ["agent.step", "llm.generate", "tools.call", "agent.step", "llm.generate"]

    asyncio.run(play())


def lua_js(lua: str, javascript: str) -> dict[str, str]:
    return {"lua": lua, "javascript": javascript}


AGENT = lua_js('a = agent.create{tools = {"add"}}', 'let a = await agent.create({tools: ["add"]});')
HOLA = lua_js('return a:run("go on").text', '(await a.run("go on")).text')
MESSAGES = lua_js("return a:messages()", "await a.messages()")


@every_engine
def test_the_conversation_goes_on_from_run_to_run(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with agents(tmp_path, "one", "two") as told:
            await run(told.session, engine, AGENT)
            assert await run(told.session, engine, HOLA) == ["one"]
            assert await run(told.session, engine, HOLA) == ["two"]
            assert [message["content"] for message in told.model.seen[1].messages] == ["go on", "one", "go on"]
            (messages,) = await run(told.session, engine, MESSAGES)
            assert [(message["role"], message["content"]) for message in messages] == [  # type: ignore[union-attr,index,call-overload]
                ("user", "go on"),
                ("assistant", "one"),
                ("user", "go on"),
                ("assistant", "two"),
            ]

    asyncio.run(play())


@every_engine
def test_functions_of_the_script_are_tools_whose_arguments_are_checked_and_filled(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'seen = {}; a = agent.create{tools = {{name = "greet", description = "greets", parameters = {properties = {who = {type = "string"},'
        ' times = {default = 2}}, required = {"who"}}, run = function(args) seen[#seen + 1] = args return "hi " .. args.who end}}}'
        ' return a:run("x").text, seen',
        "const seen = []; const a = await agent.create({tools: [{name: 'greet', description: 'greets', parameters: {properties: {who: {type:"
        " 'string'}, times: {default: 2}}, required: ['who']}, run: args => { seen.push(args); return 'hi ' + args.who }}]});"
        " const r = await a.run('x'); [r.text, seen]",
    )

    async def play() -> None:
        async with agents(tmp_path, call("greet", {"who": 1}), call("greet", {"who": "Ada"}), "done") as told:
            values = await run(told.session, engine, cell)
            assert (values if engine == "lua" else values[0]) == ["done", [{"who": "Ada", "times": 2}]]
            wrong, right = (request.messages[-1]["content"] for request in told.model.seen[1:])
            assert "$.who" in wrong and "not of type 'string'" in wrong and right == "hi Ada"
            assert told.model.seen[1].messages[-1]["tool_call_id"] != told.model.seen[2].messages[-1]["tool_call_id"]
            assert "is shown what is wrong with its call of greet" in told.sink.text("stderr")

    asyncio.run(play())


@every_engine
def test_a_tool_that_fails_is_told_to_the_model_which_may_try_another_way(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with agents(tmp_path, call("add", {"a": 1}), "never mind") as told:
            await run(told.session, engine, AGENT)
            assert await run(told.session, engine, HOLA) == ["never mind"]
            assert told.model.seen[1].messages[-1]["content"].startswith("add failed: the arguments of add do not fit: $: 'b'")

    asyncio.run(play())


@every_engine
def test_a_model_that_keeps_to_its_mistake_ends_the_run_and_the_agent_can_go_on(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with agents(tmp_path, *[call("nope")] * 4, "at last") as told:
            await run(told.session, engine, AGENT)
            with pytest.raises(SpellError, match=r"'nope' exceeded max retries count of 3.*shown what is wrong 3 times") as raised:
                await run(told.session, engine, HOLA)
            assert raised.value.code == "agent_gave_up"
            assert await run(told.session, engine, HOLA) == ["at last"]

    asyncio.run(play())


@every_engine
def test_a_tool_that_is_denied_ends_the_run(engine: str, tmp_path: Path) -> None:
    cell = lua_js('a = agent.create{tools = {"forbidden"}}', 'let a = await agent.create({tools: ["forbidden"]});')

    async def play() -> None:
        async with agents(tmp_path, call("forbidden"), "later") as told:
            await run(told.session, engine, cell)
            with pytest.raises(SpellError, match="nobody may do that"):
                await run(told.session, engine, HOLA)
            (messages,) = await run(told.session, engine, MESSAGES)
            assert messages[-1]["content"] == STOPPED  # type: ignore[index,call-overload]
            assert await run(told.session, engine, HOLA) == ["later"]

    asyncio.run(play())


@every_engine
def test_a_limit_says_which_it_is_and_how_to_raise_it(engine: str, tmp_path: Path) -> None:
    cases = [
        ("max_steps = 2", "maxSteps: 2", r"took 2 steps and has no answer; its max_steps = 2 can be raised"),
        ("limits = {requests = 1}", "limits: {requests: 1}", r"limit of 1 requests .*limits = \{requests = "),
        ("limits = {tool_calls = 1}", "limits: {toolCalls: 1}", r"limit of 1 tool calls"),
        ("limits = {input_tokens = 1}", "limits: {inputTokens: 1}", r"limit of 1 input tokens"),
        ("limits = {output_tokens = 9}", "limits: {outputTokens: 9}", r"limit of 9 output tokens"),
        ("limits = {total_tokens = 9}", "limits: {totalTokens: 9}", r"limit of 9 total tokens"),
    ]

    async def play() -> None:
        async with agents(tmp_path) as told:
            for lua, javascript, says in cases:
                long = {**call("add", {"a": 1, "b": 2}), "text": "one two three four five six seven eight nine ten"}
                told.says(long, long, long)
                cell = lua_js(
                    f'a = agent.create{{tools = {{"add"}}, {lua}}} a:run("go on with it")',
                    f'const a = await agent.create({{tools: ["add"], {javascript}}}); await a.run("go on with it")',
                )
                with pytest.raises(SpellError, match=says) as raised:
                    await run(told.session, engine, cell)
                assert raised.value.code == "limit"
                told.model.load([])
                told.model._entries.clear()

    asyncio.run(play())


@every_engine
def test_steps_are_taken_from_the_users_budget(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        settings = Settings(budgets={"cell_steps": 2})
        async with agents(tmp_path, *[call("add", {"a": 1, "b": 1})] * 3, settings=settings) as told:
            await run(told.session, engine, AGENT)
            with pytest.raises(SpellError, match="steps"):
                await run(told.session, engine, HOLA)
            assert len(told.model.seen) == 2

    asyncio.run(play())


OUTPUT = '{type = "object", properties = {n = {type = "integer"}}, required = {"n"}}'
OUTPUT_JS = '{type: "object", properties: {n: {type: "integer"}}, required: ["n"]}'


@every_engine
def test_an_output_that_does_not_fit_is_shown_to_the_model_until_it_does(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        f'a = agent.create{{output = {OUTPUT}}} return a:run("x").output.n',
        f'const a = await agent.create({{output: {OUTPUT_JS}}}); (await a.run("x")).output.n',
    )

    async def play() -> None:
        async with agents(tmp_path, "no idea", '{"n": "one"}', 'Here: ```json\n{"n": 7}\n```') as told:
            assert await run(told.session, engine, cell) == [7]
            assert '"required": ["n"]' in told.model.seen[0].messages[0]["content"]
            assert "there is no JSON in it" in told.model.seen[1].messages[-1]["content"]
            assert "$.n: 'one' is not of type 'integer'" in told.model.seen[2].messages[-1]["content"]
            assert told.sink.text("stderr").count("is shown what is wrong with its answer") == 2

    asyncio.run(play())


@every_engine
def test_a_stream_gives_what_happens_as_it_happens(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'a = agent.create{tools = {"add"}} local seen = {} local s = a:stream("x") for e in s do seen[#seen + 1] = e.text or e.type end'
        " return seen, s:result().text",
        'const a = await agent.create({tools: ["add"]}); const seen = []; const s = await a.stream("x");'
        " for await (const e of s) seen.push(e.text ?? e.type); [seen, (await s.result()).text]",
    )

    async def play() -> None:
        async with agents(tmp_path, call("nope"), call("add", {"a": 1, "b": 1}), "it is two") as told:
            values = await run(told.session, engine, cell)
            seen, text = values if engine == "lua" else values[0]  # type: ignore[misc]
            assert seen == ["retry", "tool_call", "tool_result", "it ", "is ", "two", "done"]
            assert text == "it is two"

    asyncio.run(play())


@every_engine
def test_a_failing_run_is_an_error_where_its_stream_is_read(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'a = agent.create{} local s = a:stream("x") local ok, e = pcall(function() for _ in s do end end) return ok, e.code',
        "const a = await agent.create({}); let code; try { for await (const e of await a.stream('x')); } catch (e) { code = e.code } [false, code]",
    )

    async def play() -> None:
        async with agents(tmp_path) as told:
            values = await run(told.session, engine, cell)
            assert (values if engine == "lua" else values[0]) == [False, "script_exhausted"]

    asyncio.run(play())


@every_engine
def test_tools_and_instructions_change_between_runs(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'a = agent.create{system = "old", tools = {"add"}} a:run("x") a:set_system("new") a:add_tool("fail") local was = a:remove_tool("add")'
        ' a:run("x") return was',
        'const a = await agent.create({system: "old", tools: ["add"]}); await a.run("x"); await a.setSystem("new"); await a.addTool("fail");'
        ' const was = await a.removeTool("add"); await a.run("x"); was',
    )

    async def play() -> None:
        async with agents(tmp_path, "1", "2") as told:
            assert await run(told.session, engine, cell) == [True]
            first, second = told.model.seen
            assert [first.messages[0]["content"], second.messages[0]["content"]] == ["old", "new"]
            assert [[tool["name"] for tool in request.options.tools or []] for request in (first, second)] == [["add"], ["fail"]]

    asyncio.run(play())


@every_engine
def test_settings_reach_the_model(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'agent.create{model = "spell/scripted", settings = {temperature = 0.5, max_tokens = 9}}:run("x")',
        'const a = await agent.create({model: "spell/scripted", settings: {temperature: 0.5, maxTokens: 9}}); await a.run("x")',
    )

    async def play() -> None:
        async with agents(tmp_path, "1") as told:
            await run(told.session, engine, cell)
            options = told.model.seen[0].options
            assert (options.temperature, options.max_tokens) == (0.5, 9)

    asyncio.run(play())


@every_engine
def test_what_is_no_tool_is_told_with_its_number_and_the_nearest_name(engine: str, tmp_path: Path) -> None:
    cases = [
        ('"ad"', '"ad"', "unknown_tool", "did you mean 'add'"),
        ("{run = function() end}", "{run: () => 1}", "argument", "tool 1 needs a name"),
        ('{name = "x"}', "{name: 'x'}", "argument", r"tool 1 \(x\) needs run"),
        ('{name = "a b", run = print}', "{name: 'a b', run: () => 1}", "argument", "models take letters, digits"),
        ('{name = "x", run = print, parameter = {}}', "{name: 'x', run: () => 1, parameter: {}}", "argument", "did you mean 'parameters'"),
        (
            '{name = "x", run = print, parameters = {type = "strin"}}',
            "{name: 'x', run: () => 1, parameters: {type: 'strin'}}",
            "argument",
            "no JSON Schema",
        ),
        ("agent.create{}", "await agent.create({})", "argument", "a:as_tool"),
    ]

    async def play() -> None:
        async with agents(tmp_path) as told:
            for lua, javascript, code, says in cases:
                cell = lua_js(f"agent.create{{tools = {{{lua}}}}}", f"await agent.create({{tools: [{javascript}]}})")
                with pytest.raises(SpellError, match=says) as raised:
                    await run(told.session, engine, cell)
                assert raised.value.code == code

    asyncio.run(play())


@every_engine
def test_one_agent_runs_once_at_a_time_and_says_so(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'a = agent.create{tools = {{name = "self", run = function() return a:run("again").text end}}} return a:run("x").text',
        "const a = await agent.create({tools: [{name: 'self', run: async () => (await a.run('again')).text}]}); (await a.run('x')).text",
    )

    async def play() -> None:
        async with agents(tmp_path, call("self"), "enough") as told:
            assert await run(told.session, engine, cell) == ["enough"]
            assert "runs already" in told.model.seen[1].messages[-1]["content"]

    asyncio.run(play())


@every_engine
def test_a_hundred_agents_run_at_once_in_one_cell(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        "local work = {} for i = 1, 100 do work[i] = function() local a = agent.create{tools = {'add'}} return a:run('n' .. i .. '.').text end end"
        " local all = async.all(work) return #all, all[1], all[100]",
        "const all = await Promise.all(Array.from({length: 100}, async (_, i) => { const a = await agent.create({tools: ['add']});"
        " return (await a.run(`n${i + 1}.`)).text })); [all.length, all[0], all[99]]",
    )

    async def play() -> None:
        async with agents(tmp_path) as told:
            for number in range(100):
                told.says(
                    {**call("add", {"a": number, "b": 1}), "match": f"n{number + 1}."},
                    {"text": f"r{number + 1}", "match": f"n{number + 1}."},
                )
            values = await run(told.session, engine, cell)
            assert (values if engine == "lua" else values[0]) == [100, "r1", "r100"]
            assert len(told.tools.calls) == 100

    asyncio.run(play())


@every_engine
def test_what_changes_while_an_agent_runs_holds_from_its_next_run_on(engine: str, tmp_path: Path) -> None:
    cell = lua_js(
        'a = agent.create{system = "old", tools = {"add", {name = "mine", run = function() return "mine before" end}, {name = "change", run ='
        ' function() a:remove_tool("mine") a:add_tool({name = "mine", run = function() return "mine after" end}) a:remove_tool("add")'
        ' a:set_system("new") return "changed" end}}} a:run("x") a:run("y")',
        "var a = await agent.create({system: 'old', tools: ['add', {name: 'mine', run: () => 'mine before'}, {name: 'change', run: async () => {"
        " await a.removeTool('mine'); await a.addTool({name: 'mine', run: () => 'mine after'}); await a.removeTool('add');"
        " await a.setSystem('new'); return 'changed' }}]}); await a.run('x'); await a.run('y')",
    )

    async def play() -> None:
        answers = [call("change"), call("mine"), call("add", {"a": 1, "b": 1}), "one", call("mine"), "two"]
        async with agents(tmp_path, *answers) as told:
            await run(told.session, engine, cell)
            seen = told.model.seen
            assert [request.messages[-1]["content"] for request in seen] == ["x", "changed", "mine before", "2", "y", "mine after"]
            assert [request.messages[0]["content"] for request in seen] == ["old"] * 4 + ["new"] * 2
            assert [sorted(tool["name"] for tool in request.options.tools or []) for request in seen] == [["add", "change", "mine"]] * 4 + [
                ["change", "mine"]
            ] * 2

    asyncio.run(play())


@every_engine
def test_an_agent_of_a_script_has_no_tools_nor_instructions_to_change(engine: str, tmp_path: Path) -> None:
    made = lua_js('a = agent.register("shout", string.upper)', "var a = await agent.register('shout', x => x.toUpperCase())")
    changes = [
        lua_js('a:remove_tool("execute")', "await a.removeTool('execute')"),
        lua_js('a:set_system("x")', "await a.setSystem('x')"),
        lua_js('a:add_tool("add")', "await a.addTool('add')"),
    ]

    async def play() -> None:
        async with agents(tmp_path) as told:
            await run(told.session, engine, made)
            for change in changes:
                with pytest.raises(SpellError, match="is written by a script, and cannot be"):
                    await run(told.session, engine, change)
            assert await run(told.session, engine, lua_js('a:run("hi").text', "(await a.run('hi')).text")) == ["HI"]

    asyncio.run(play())
