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
