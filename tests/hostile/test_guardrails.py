"""What a script, or a model by the answer it gives, tries to bring past a guardrail, or to keep the session busy with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from llmspell_kernel.errors import ScriptError, SpellError

from .test_interceptors import every_engine, session, value

HELD_S = 0.5
"""Of the processor, that the loop may be kept by one thing; long names took 1.3 to 30 s."""
DEEP_HELD_S = 0.1
"""Lists that were made anew at each depth took 0.2 s and more; one walk, in a thread, leaves 0.01 s."""


async def longest_held_s(work: Awaitable[Any]) -> float:
    """The most of the processor's time that the loop's own thread used between two of its turns."""
    longest, last, task = 0.0, time.thread_time(), asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0.01)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    await task
    return longest


def in_both(lua: str, javascript: str, engine: str) -> str:
    return {"lua": lua}.get(engine, javascript)


PATTERNS = "local p = {} for i = 1, 50 do p[i] = '*' .. ('a'):rep(180) .. 'b' .. i end "
LONG_NAMES = {
    "a tool, for a hook": (
        "hooks.before('tools.call:*' .. ('a'):rep(180) .. 'b', function() end)",
        ("pcall(tools.call, ('a'):rep(10000000), {})", "try { await tools.call('a'.repeat(10000000), {}) } catch {}"),
    ),
    "a tool, for a guardrail": (
        PATTERNS + "guardrails.add{name = 'g', on = 'tool', check = {personal = true}, tools = p}",
        ("pcall(tools.call, ('a'):rep(10000000), {})", "try { await tools.call('a'.repeat(10000000), {}) } catch {}"),
    ),
    "a model": (
        PATTERNS + "guardrails.add{name = 'g', on = 'input', check = {personal = true}, models = p}",
        (
            "pcall(llm.chat, 'x', {model = ('a'):rep(15000000)})",
            "try { await llm.chat('x', {model: 'a'.repeat(15000000)}) } catch {}",
        ),
    ),
}


@pytest.mark.parametrize("what", LONG_NAMES)
@every_engine
def test_no_name_however_long_keeps_the_session_at_its_patterns(engine: str, what: str) -> None:
    watch, calls = LONG_NAMES[what]

    async def play() -> None:
        made, _ = session()
        async with made:
            await value(made, watch)
            assert await longest_held_s(value(made, in_both(*calls, engine), engine)) < HELD_S

    asyncio.run(play())


@every_engine
def test_a_name_too_long_to_be_held_against_patterns_is_looked_at(engine: str) -> None:
    async def play() -> None:
        made, service = session()
        async with made:
            await value(made, "guardrails.add{name = 'of tools', on = 'tool', check = {personal = true}, tools = 'web_*'}")
            await value(made, "guardrails.add{name = 'of models', on = 'input', check = {personal = true}, models = 'openai/*'}")
            for call in (
                ("tools.call(('a'):rep(201), {to = 'a@b.io'})", "await tools.call('a'.repeat(201), {to: 'a@b.io'})"),
                ("llm.chat('a@b.io', {model = ('a'):rep(201)})", "await llm.chat('a@b.io', {model: 'a'.repeat(201)})"),
            ):
                with pytest.raises(ScriptError, match="email") as raised:
                    await value(made, in_both(*call, engine), engine)
                assert raised.value.code == "guardrail_blocked"
            short = ("tools.call(('a'):rep(200), {to = 'a@b.io'})", "await tools.call('a'.repeat(200), {to: 'a@b.io'})")
            with pytest.raises(SpellError, match="there is no tool"):
                await value(made, in_both(*short, engine), engine)
            assert service.scripted.seen == []

    asyncio.run(play())


@every_engine
def test_no_arguments_however_many_names_they_have_and_however_deep_keep_the_session(engine: str) -> None:
    deep = (
        "local t = {} for i = 1, 150000 do t['a' .. i] = 1 end for i = 1, 50 do t = {x = t} end pcall(tools.call, 't', {a = t})",
        "let t = {}; for (let i = 0; i < 150000; i++) t['a' + i] = 1; for (let i = 0; i < 50; i++) t = {x: t};"
        " try { await tools.call('t', {a: t}) } catch {}",
    )

    async def play() -> None:
        made, _ = session()
        async with made:
            await value(made, "guardrails.add{name = 'g', on = 'tool', check = {personal = true}}")
            assert await longest_held_s(value(made, in_both(*deep, engine), engine)) < DEEP_HELD_S

    asyncio.run(play())


NO_TEXTS = {
    "a number": ("{card = 4111111111111111}", "{card: 4111111111111111}", "card in a number"),
    "a number below zero": ("{card = -4111111111111111}", "{card: -4111111111111111}", "card in a number"),
    "a number with a point": ("{card = 4111111111111111.0}", "{card: 4111111111111111.5}", "card in a number"),
    "a long number": ("{card = 4111111111111111110}", "{card: 4111111111111111110n}", "card in a number"),
    "a number in a list": ("{x = {1, {4111111111111111}}}", "{x: [1, [4111111111111111]]}", "card in a number"),
    "bytes": ("{to = 'a@b.io \\255'}", "{to: new Uint8Array([97, 64, 98, 46, 105, 111, 32, 255])}", "email in bytes"),
    "a wrong byte within": ("{to = 'a\\233@b.io'}", "{to: new Uint8Array([97, 233, 64, 98, 46, 105, 111])}", "email in bytes"),
    "the name of an argument": ("{x = {{['a@b.io'] = 1}}}", "{x: [{'a@b.io': 1}]}", "email in a name"),
}


@pytest.mark.parametrize("action", ["block", "redact"])
@pytest.mark.parametrize("what", NO_TEXTS)
@every_engine
def test_nothing_that_is_no_text_passes_a_guardrail_on_tools_unseen(engine: str, what: str, action: str) -> None:
    lua, javascript, kind = NO_TEXTS[what]

    async def play() -> None:
        made, _ = session()
        async with made:
            await value(
                made, "done = 0; tools.register{name = 'send', parameters = {type = 'object'}, run = function() done = done + 1 end}"
            )
            await value(made, f"guardrails.add{{name = 'g', on = 'tool', check = {{personal = true}}, action = '{action}'}}")
            with pytest.raises(ScriptError, match=f"'g', which found in what it gives or gets: {kind}$"):
                await value(made, in_both(f"tools.call('send', {lua})", f"await tools.call('send', {javascript})", engine), engine)
            assert await value(made, "return done") == 0

    asyncio.run(play())


@every_engine
def test_no_number_that_a_tool_gives_passes_a_guardrail_unseen(engine: str) -> None:
    async def play() -> None:
        made, _ = session()
        async with made:
            await value(
                made, "tools.register{name = 'number', parameters = {type = 'object'}, run = function() return 4111111111111111 end}"
            )
            await value(made, "guardrails.add{name = 'g', on = 'tool', check = {personal = true}, action = 'redact'}")
            with pytest.raises(ScriptError, match="card in a number"):
                await value(made, in_both("return tools.call('number', {})", "await tools.call('number', {})", engine), engine)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"tool_calls": [{"name": "send", "arguments": {"card": 4111111111111111}, "id": "1"}]}, "card in a number"),
        ('{"card": 4111111111111111}', "card"),
        ('{"a@b.io": 1}', "email"),
    ],
)
@every_engine
def test_no_number_or_name_of_an_answer_passes_a_guardrail_on_output_unseen(engine: str, answer: Any, kind: str) -> None:
    ask = (
        ("llm.generate('x')", "await llm.generate('x')")
        if isinstance(answer, dict)
        else ("llm.object('x', {})", "await llm.object('x', {})")
    )

    async def play() -> None:
        made, service = session()
        service.scripted.load([answer])
        async with made:
            await value(made, "guardrails.add{name = 'out', on = 'output', check = {personal = true}}")
            with pytest.raises(ScriptError, match=f"answered: {kind}"):
                await value(made, in_both(*ask, engine), engine)

    asyncio.run(play())


TOOL = "name = 'pay', parameters = {type = 'object', properties = {card = {enum = {4111111111111111}}}}"
JS_TOOL = "name: 'pay', parameters: {type: 'object', properties: {card: {enum: [4111111111111111]}}}"
PART = "type = 'text', text = 'x', cache_control = {type = 'ephemeral', ['a@b.io'] = 1}"
JS_PART = "type: 'text', text: 'x', cache_control: {type: 'ephemeral', 'a@b.io': 1}"
BESIDE_TEXTS = {
    "the number of a message's name": (
        "llm.chat{{role = 'user', content = 'x', name = 4111111111111111}}",
        "await llm.chat([{role: 'user', content: 'x', name: 4111111111111111}])",
    ),
    "the names of a table": (
        "llm.chat{{role = 'user', content = 'x', name = {['a@b.io'] = 1}}}",
        "await llm.chat([{role: 'user', content: 'x', name: {'a@b.io': 1}}])",
    ),
    "the names of what a part has": (
        f"llm.chat{{{{role = 'user', content = {{{{{PART}}}}}}}}}",
        f"await llm.chat([{{role: 'user', content: [{{{JS_PART}}}]}}])",
    ),
    "a number of a schema": (f"llm.chat('x', {{tools = {{{{{TOOL}}}}}}})", f"await llm.chat('x', {{tools: [{{{JS_TOOL}}}]}})"),
    "a number that is a setting": ("llm.chat('x', {seed = 4111111111111111})", "await llm.chat('x', {seed: 4111111111111111})"),
    "parts that are read as one": (
        "llm.chat{{role = 'user', content = {{type = 'text', text = 'a@'}, {type = 'text', text = 'b.io'}}}}",
        "await llm.chat([{role: 'user', content: [{type: 'text', text: 'a@'}, {type: 'text', text: 'b.io'}]}])",
    ),
    "three parts with an empty one": (
        "llm.chat{{role = 'user', content = {{type = 'text', text = 'a@b'}, {type = 'text', text = ''}, {type = 'text', text = '.io'}}}}",
        "await llm.chat([{role: 'user', content: [{type: 'text', text: 'a@b'}, {type: 'text', text: ''}, {type: 'text', text: '.io'}]}])",
    ),
}


@pytest.mark.parametrize("action", ["block", "redact"])
@pytest.mark.parametrize("what", BESIDE_TEXTS)
@every_engine
def test_nothing_that_is_sent_beside_a_text_or_over_several_passes_a_guardrail_on_input(engine: str, what: str, action: str) -> None:
    code = in_both(*BESIDE_TEXTS[what], engine)

    async def play(guardrail: bool) -> None:
        made, service = session()
        service.scripted.load(["fine"])
        async with made:
            if guardrail:
                await value(made, f"guardrails.add{{name = 'g', on = 'input', check = {{personal = true}}, action = '{action}'}}")
                with pytest.raises(ScriptError, match="'g', which found in what it sends: (card|email)"):
                    await value(made, code, engine)
                assert service.scripted.seen == []
            else:
                await value(made, code, engine)  # it is a call as any other

    asyncio.run(play(False))
    asyncio.run(play(True))


@every_engine
def test_what_is_taken_out_of_one_part_is_not_found_again_with_the_next(engine: str) -> None:
    parts = (
        "llm.chat{{role = 'user', content = {{type = 'text', text = 'to a@b.io'}, {type = 'text', text = 'Dear'}}}}",
        "await llm.chat([{role: 'user', content: [{type: 'text', text: 'to a@b.io'}, {type: 'text', text: 'Dear'}]}])",
    )

    async def play() -> None:
        made, service = session()
        service.scripted.load(["fine"])
        async with made:
            await value(made, "guardrails.add{name = 'g', on = 'input', check = {personal = true}, action = 'redact'}")
            await value(made, in_both(*parts, engine), engine)
            assert [part["text"] for part in service.scripted.seen[0].messages[0]["content"]] == ["to [email]", "Dear"]

    asyncio.run(play())


@every_engine
def test_settings_moments_and_a_yes_or_no_are_no_findings(engine: str) -> None:
    async def play() -> None:
        made, service = session()
        service.scripted.load(["fine"])
        async with made:
            await value(made, "guardrails.add{name = 'in', on = 'input', check = {regex = '[0-9]', personal = true}}")
            await value(made, "guardrails.add{name = 'tool', on = 'tool', check = {regex = 'true|1$', personal = true}}")
            chat = ("llm.chat('x', {max_tokens = 50, temperature = 0.5})", "await llm.chat('x', {maxTokens: 50, temperature: 0.5})")
            await value(made, in_both(*chat, engine), engine)
            await value(made, "tools.register{name = 'take', parameters = {type = 'object'}, run = function() return 2 end}")
            # the time in milliseconds, which has the check digit of a card
            call = ("tools.call('take', {at = 1763801128127, yes = true})", "await tools.call('take', {at: 1763801128127, yes: true})")
            await value(made, in_both(*call, engine), engine)

    asyncio.run(play())


@every_engine
def test_a_function_of_a_guardrail_is_shown_bytes_and_what_is_read_as_one_text(engine: str) -> None:
    add = (
        "guardrails.add{{name = '{0}', on = '{0}', check = {{fn = function(text) return not text:find('secret') end}}}}",
        "await guardrails.add({{name: '{0}', on: '{0}', check: {{fn: (text) => !text.includes('secret')}}}})",
    )
    calls = (
        ("tools.call('x', {a = 'secret \\255'})", "await tools.call('x', {a: new Uint8Array([115, 101, 99, 114, 101, 116, 255])})"),
        (
            "llm.chat{{role = 'user', content = {{type = 'text', text = 'sec'}, {type = 'text', text = 'ret'}}}}",
            "await llm.chat([{role: 'user', content: [{type: 'text', text: 'sec'}, {type: 'text', text: 'ret'}]}])",
        ),
    )

    async def play() -> None:
        made, service = session()
        async with made:
            for on in ("input", "tool"):
                await value(made, in_both(*add, engine).format(on), engine)
            for call in calls:
                with pytest.raises(ScriptError, match="its function says no"):
                    await value(made, in_both(*call, engine), engine)
            assert service.scripted.seen == []

    asyncio.run(play())


@every_engine
def test_no_function_beside_a_text_brings_it_unredacted_to_a_model(engine: str) -> None:
    call = (
        "llm.chat{{role = 'user', content = 'a@b.io', name = function() end}}",
        "await llm.chat([{role: 'user', content: 'a@b.io', name: () => 1}])",
    )

    async def play() -> None:
        made, service = session()
        service.scripted.load(["fine"])
        async with made:
            await value(made, "guardrails.add{name = 'g', on = 'input', check = {personal = true}, action = 'redact'}")
            with pytest.raises(ScriptError, match="beside a function or a thing of the host"):
                await value(made, in_both(*call, engine), engine)
            assert service.scripted.seen == []

    asyncio.run(play())
