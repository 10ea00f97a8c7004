"""Agents from scripts: the loop of model and tools, in both languages, on a model that says what it is told to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.journal.events import CallStarted

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
