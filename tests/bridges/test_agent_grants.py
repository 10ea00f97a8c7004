"""What an agent's model may grant a script of its own by `run_script`: registered tools that this agent has, and no more of the session's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.session import Session

from ..session.world import ENGINES, Recording
from .agent_world import call
from .test_tools import Approver, register

every_engine = pytest.mark.parametrize("engine", ENGINES)
AGENTS = {
    "lua": "local a = agent.create{{tools = {{{tools}}}, approve = {{{approve}}}}}; return a:run('go').text",
    "javascript": "const a = await agent.create({{tools: [{tools}], approve: [{approve}]}}); (await a.run('go')).text",
}


def script(engine: str, tool: str, *granted: str) -> dict[str, Any]:
    """A model's call of run_script with a script that calls the tool."""
    code = f"return tools.call('{tool}')" if engine == "lua" else f"await tools.call('{tool}')"
    return call("run_script", {"language": engine, "code": code, "tools": [*granted]})


def told_the_model(folder: Path, engine: str, asked: dict[str, Any], tools: Sequence[str], approve: Sequence[str] = ()) -> tuple[str, Any]:
    """What the model was told of its call, and how often the tool `private` ran."""

    async def play() -> tuple[str, Any]:
        service = LlmService({"LLMSPELL_MODEL": "spell/scripted"}, local_installed=False)
        async with Session(sink=Recording(), bridges=[Llm(service)], folder=folder, approver=Approver(True)) as session:
            count = "ran = (ran or 0) + 1; return 1" if engine == "lua" else "globalThis.ran = (globalThis.ran ?? 0) + 1; return 1"
            registered = await session.run(register(engine, "private", count), engine=engine, state="other")
            assert registered.error is None
            service.scripted.load([asked, "done"])
            lists = {"tools": ", ".join(f"'{name}'" for name in tools), "approve": ", ".join(f"'{name}'" for name in approve)}
            ran = await session.run(AGENTS[engine].format(**lists), engine=engine)
            assert ran.error is None and ran.value == "done"
            seen = await session.run({"lua": "return ran or 0", "javascript": "globalThis.ran ?? 0"}[engine], engine=engine, state="other")
            return str(service.scripted.seen[-1].messages[-1]["content"]), seen.value

    return asyncio.run(play())


@every_engine
def test_a_model_grants_its_script_no_tool_that_its_agent_has_not(engine: str, tmp_path: Path) -> None:
    told, ran = told_the_model(tmp_path, engine, script(engine, "private", "private", "file_write"), ["run_script", "datetime"])
    assert "private, file_write cannot be granted" in told and "which are run_script, datetime" in told
    assert ran == 0


@every_engine
def test_a_model_grants_its_script_the_registered_tools_of_its_agent(engine: str, tmp_path: Path) -> None:
    told, ran = told_the_model(tmp_path, engine, script(engine, "private", "private"), ["run_script", "private"])
    assert '"values":[1]' in told and ran == 1


@every_engine
def test_what_the_user_is_asked_about_call_by_call_is_not_granted_unless_the_script_is_asked_about_too(engine: str, tmp_path: Path) -> None:
    asked, tools = script(engine, "private", "private"), ["run_script", "private"]
    told, ran = told_the_model(tmp_path, engine, asked, tools, ["private"])
    assert "private cannot be granted, as the user is asked before each call" in told and ran == 0
    told, ran = told_the_model(tmp_path, engine, asked, tools, ["private", "run_script"])
    assert '"values":[1]' in told and ran == 1


@every_engine
def test_a_script_that_was_granted_run_script_grants_only_what_it_was_granted(engine: str, tmp_path: Path) -> None:
    inner = {
        "lua": "return tools.call('run_script', {language = 'lua', code = \"return tools.call('private')\", tools = {'private'}})",
        "javascript": "await tools.call('run_script', {language: 'javascript', code: \"await tools.call('private')\", tools: ['private']})",
    }
    asked = call("run_script", {"language": engine, "code": inner[engine], "tools": ["run_script"]})
    told, ran = told_the_model(tmp_path, engine, asked, ["run_script", "private"])
    assert "unknown_tool" in told and ran == 0
