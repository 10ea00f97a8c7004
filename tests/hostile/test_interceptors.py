"""Hooks and guardrails see calls that policy lets be made, and none of those that policy itself rests on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.errors import DeniedError, ScriptError
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.session import Session

from ..session.test_kept_functions import ENGINES, desk
from ..session.test_kept_functions import run as run_in

every_engine = pytest.mark.parametrize("engine", ENGINES)


def session(**options: Any) -> tuple[Session, LlmService]:
    service = LlmService({"LLMSPELL_MODEL": "spell/scripted"}, local_installed=False)
    return Session(bridges=[Llm(service)], **options), service


async def value(of: Session, code: str, engine: str = "lua", state: str = "main") -> Any:
    result = await of.run(code, engine=engine, state=state)
    if result.error is not None:
        raise result.error
    return result.value


def test_no_hook_answers_in_place_of_the_users_consent() -> None:
    async def play() -> None:
        made, _ = session(grants=Grants(ask_levels=("dangerous",)))
        async with made:
            await value(made, "done = 0; tools.register{name = 'wipe', level = 'dangerous', run = function() done = done + 1 end}")
            answer = "for _, p in ipairs{'tools.permit', 'tools.run_*'} do hooks.before(p, function() return {value = {}} end) end"
            await value(made, answer, state="weak")
            with pytest.raises(DeniedError, match="needs the user's consent"):
                await value(made, "tools.call('wipe', {})")
            assert await value(made, "return done") == 0

    asyncio.run(play())


@every_engine
def test_a_call_that_is_denied_is_shown_to_no_hook_and_asks_no_model(engine: str) -> None:
    async def play() -> None:
        made, service = session(grants=Grants(deny=("llm.stream", "llm.chat")))
        service.scripted.load(["never said"] * 5)
        async with made:
            await value(made, "seen = 0; hooks.before('llm.*', function() seen = seen + 1 end)", state="other")
            await value(made, "guardrails.add{name = 'g', on = 'output', check = {regex = 'x'}, action = 'redact'}")
            call = {"lua": "return pcall(llm.stream, 'x'), pcall(llm.chat, 'x')"}.get(
                engine, "try { await llm.stream('x') } catch (e) { e.code }"
            )
            await value(made, call, engine)
            assert await value(made, "return seen", state="other") == 0
            assert service.scripted.seen == []

    asyncio.run(play())


def test_a_hook_neither_answers_nor_changes_the_step_of_an_agent() -> None:
    async def play() -> None:
        made, service = session()
        service.scripted.load(["one", "two"])
        async with made:
            await value(
                made, "a = agent.create{model = 'spell/scripted'}; id = hooks.before('agent.step', function() return {value = 1} end)"
            )
            with pytest.raises(ScriptError, match="agent.step can be seen and stopped, and neither changed nor answered"):
                await value(made, "return a:run('x')")
            assert await value(made, "hooks.remove(id); return a:run('x').text") == "one"

    asyncio.run(play())


@every_engine
def test_functions_of_two_states_that_call_each_other_at_once_are_told_and_wait_for_nobody(engine: str, tmp_path: Any) -> None:
    keep = {
        "lua": "desk.keep('{0}1', function() return desk.run('{1}2') end); desk.keep('{0}2', function() return '{0}' end)",
        "javascript": "await desk.keep('{0}1', async () => await desk.run('{1}2')); await desk.keep('{0}2', () => '{0}');",
    }
    both = {
        "lua": "return #async.all({function() return pcall(desk.run, 'b1') end, function() return pcall(desk.run, 'c1') end})",
        "javascript": "(await Promise.allSettled([desk.run('b1'), desk.run('c1')])).length",
    }

    async def play() -> None:
        async with desk(tmp_path) as (made, _, _), asyncio.timeout(20):
            await run_in(made, engine, {name: text.format("b", "c") for name, text in keep.items()}, "b")
            await run_in(made, engine, {name: text.format("c", "b") for name, text in keep.items()}, "c")
            for _ in range(3):
                assert await run_in(made, engine, both) == [2]

    asyncio.run(play())


MAIL = "guardrails.add{name = 'mail', on = 'input', check = {personal = true}}"
TOOL = "{name = 'find', description = 'of a@b.io', parameters = {type = 'object'}}"
JS_TOOL = "{name: 'find', description: 'of a@b.io', parameters: {type: 'object'}}"
AROUND_INPUT = {
    "options at the third place": (
        "llm.stream_chat('x', nil, {system = 'mail a@b.io'}):text()",
        "await (await llm.streamChat('x', null, {system: 'mail a@b.io'})).text()",
    ),
    "options at the second place": (
        "llm.stream_chat('x', {system = 'mail a@b.io'}):text()",
        "await (await llm.streamChat('x', {system: 'mail a@b.io'})).text()",
    ),
    "options of an answer in pieces": (
        "llm.stream_chat('x', function() end, {system = 'mail a@b.io'})",
        "await llm.streamChat('x', () => {}, {system: 'mail a@b.io'})",
    ),
    "options behind an empty table": (
        "llm.stream_chat('x', {}, {system = 'mail a@b.io'}):text()",
        "await (await llm.streamChat('x', {}, {system: 'mail a@b.io'})).text()",
    ),
    "descriptions of tools": (f"llm.chat('x', {{tools = {{{TOOL}}}}})", f"await llm.chat('x', {{tools: [{JS_TOOL}]}})"),
    "properties of tools": (
        "llm.chat('x', {tools = {{name = 'find', parameters = {type = 'object', properties = {['a@b.io'] = {type = 'string'}}}}}})",
        "await llm.chat('x', {tools: [{name: 'find', parameters: {type: 'object', properties: {'a@b.io': {type: 'string'}}}}]})",
    ),
    "the form of an answer": (
        "llm.generate('x', {response_format = {type = 'json_schema', json_schema = {name = 'a', schema = {description = 'a@b.io'}}}})",
        "await llm.generate('x', {responseFormat: {type: 'json_schema', json_schema: {name: 'a', schema: {description: 'a@b.io'}}}})",
    ),
    "the schema of an object": (
        "llm.object('x', {type = 'object', description = 'of a@b.io'})",
        "await llm.object('x', {type: 'object', description: 'of a@b.io'})",
    ),
    "texts that end an answer": ("llm.chat('x', {stop = {'a@b.io'}})", "await llm.chat('x', {stop: ['a@b.io']})"),
    "an id that is none": (
        "llm.chat{{role = 'tool', tool_call_id = 'to a@b.io', content = 'x'}}",
        "await llm.chat([{role: 'tool', tool_call_id: 'to a@b.io', content: 'x'}])",
    ),
    "texts to be embedded": ("llm.embed{'x', 'mail a@b.io'}", "await llm.embed(['x', 'mail a@b.io'])"),
} | {
    f"an argument of a tool call that is called {name}": (
        "llm.chat{{role = 'assistant', tool_calls = {{id = '1', name = 'find', arguments = {"
        + name
        + " = 'a@b.io'}}}}, {role = 'user', content = 'x'}}",
        "await llm.chat([{role: 'assistant', tool_calls: [{id: '1', name: 'find', arguments: {"
        + name
        + ": 'a@b.io'}}]}, {role: 'user', content: 'x'}])",
    )
    for name in ("id", "url", "data", "type", "format", "detail", "role", "name")
}


@pytest.mark.parametrize("way", AROUND_INPUT)
@every_engine
def test_no_argument_of_a_call_passes_a_guardrail_on_input_unseen(engine: str, way: str) -> None:
    code = AROUND_INPUT[way][engine == "javascript"]

    async def play(guardrail: bool) -> None:
        made, service = session()
        service.scripted.load(['{"a": 1}'] * 3)
        async with made:
            if guardrail:
                await value(made, MAIL)
                with pytest.raises(ScriptError, match="stopped by the guardrail 'mail'.*email"):
                    await value(made, code, engine)
                assert service.scripted.seen == []
            else:
                await value(made, code, engine)  # it is a call as any other

    asyncio.run(play(False))
    asyncio.run(play(True))


@every_engine
def test_an_output_guardrail_loses_no_option_of_a_stream(engine: str) -> None:
    async def play() -> None:
        made, service = session()
        service.scripted.load(["fine"])
        async with made:
            await value(made, "guardrails.add{name = 'out', on = 'output', check = {personal = true}}")
            await value(made, AROUND_INPUT["options at the third place"][engine == "javascript"], engine)
            assert service.scripted.seen[0].messages[0] == {"role": "system", "content": "mail a@b.io"}

    asyncio.run(play())


@pytest.mark.parametrize("arguments", [{"to": "a@b.io"}, {"id": "a@b.io"}, {"x": [{"a@b.io": 1}]}, {"name": "a@b.io"}])
@every_engine
def test_a_tool_call_of_an_answer_passes_no_guardrail_on_output_unseen(engine: str, arguments: dict[str, Any]) -> None:
    async def play() -> None:
        made, service = session()
        service.scripted.load([{"tool_calls": [{"name": "send", "arguments": arguments, "id": "1"}]}])
        async with made:
            await value(made, "guardrails.add{name = 'out', on = 'output', check = {personal = true}}")
            with pytest.raises(ScriptError, match="'out'.*answered: email"):
                await value(made, {"lua": "llm.generate('x')"}.get(engine, "await llm.generate('x')"), engine)

    asyncio.run(play())


@every_engine
def test_what_is_redacted_in_tool_calls_and_tools_goes_on_without_it(engine: str) -> None:
    code = {
        "lua": f"return llm.generate('x', {{tools = {{{TOOL}}}}}).tool_calls[1].arguments.to",
        "javascript": f"(await llm.generate('x', {{tools: [{JS_TOOL}]}})).tool_calls[0].arguments.to",
    }

    async def play() -> None:
        made, service = session()
        service.scripted.load([{"tool_calls": [{"name": "send", "arguments": {"to": "c@d.io"}, "id": "1"}]}])
        async with made:
            for where in ("input", "output"):
                await value(made, f"guardrails.add{{name = '{where}', on = '{where}', check = {{personal = true}}, action = 'redact'}}")
            assert await value(made, code[engine], engine) == "[email]"
            assert service.scripted.seen[0].options.tools[0]["description"] == "of [email]"  # type: ignore[index]

    asyncio.run(play())
