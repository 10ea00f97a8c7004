"""Agents that remember: by the inner methods of the bridge `memory`, here one that keeps a list."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel import Bridge, Context, method
from tests.session.test_kept_functions import kill

from .agent_world import ENGINES, agents, run


class Memory(Bridge):
    """Keeps conversations."""

    name = "memory"

    def __init__(self) -> None:
        self.kept: dict[str, list[dict[str, Any]]] = {}

    @method(inner=True)
    async def recent(self, ctx: Context, name: str, max_tokens: int) -> dict[str, Any]:
        """The newest messages."""
        return {"summary": "", "messages": self.kept.get(name, []), "left_out": 0}

    @method(inner=True, level="write")
    async def append(self, ctx: Context, name: str, messages: list[dict[str, Any]]) -> int:
        """Adds messages."""
        self.kept.setdefault(name, []).extend(messages)
        return len(self.kept[name])


@pytest.mark.parametrize("engine", ENGINES)
def test_an_agent_begins_with_what_its_memory_holds_and_adds_to_it(engine: str, tmp_path: Path) -> None:
    cell = {
        "lua": 'a = agent.create{memory = "notes"} return a:run("two").text',
        "javascript": 'let a = await agent.create({memory: "notes"}); (await a.run("two")).text',
    }
    again = {"lua": 'return a:run("three").text', "javascript": '(await a.run("three")).text'}

    async def play() -> None:
        memory = Memory()
        memory.kept["notes"] = [
            {"role": "system", "content": "Summary: zero"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "1"},
        ]
        async with agents(tmp_path, "2", "3", extra=[memory]) as told:
            assert await run(told.session, engine, cell, chunk="cell[1]") == ["2"]
            await kill(told.session, engine)
            assert await run(told.session, engine, again, chunk="cell[2]") == ["3"]
            assert [message["content"] for message in told.model.seen[1].messages] == ["Summary: zero", "one", "1", "two", "2", "three"]
            assert [message["content"] for message in memory.kept["notes"]] == ["Summary: zero", "one", "1", "two", "2", "three", "3"]

    asyncio.run(play())
