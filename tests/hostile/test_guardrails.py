"""What a script, or a model by the answer it gives, tries to bring past a guardrail, or to keep the session busy with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from llmspell_kernel.errors import ScriptError, SpellError

from .test_interceptors import every_engine, session, value

HELD_S = 1.0
"""Of the processor, that the loop may be kept by one thing; what these attacks do took 4 to 14 s."""


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
        ("pcall(tools.call, ('a'):rep(5000000), {})", "try { await tools.call('a'.repeat(5000000), {}) } catch {}"),
    ),
    "a tool, for a guardrail": (
        PATTERNS + "guardrails.add{name = 'g', on = 'tool', check = {personal = true}, tools = p}",
        ("pcall(tools.call, ('a'):rep(5000000), {})", "try { await tools.call('a'.repeat(5000000), {}) } catch {}"),
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
