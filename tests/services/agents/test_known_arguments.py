"""What the loop keeps of the tools of agents from one run to the next."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services.agents.arguments import MAX_KEPT, MAX_KEPT_BYTES, KnownArguments
from llmspell_kernel.services.agents.definition import ToolEntry


def tool(kind: str) -> ToolEntry:
    return ToolEntry("double", "own", parameters={"properties": {"n": {"type": kind}}})


def test_the_schema_of_a_tool_is_made_once() -> None:
    async def run() -> None:
        known, entry = KnownArguments(), tool("integer")

        assert await known.of(entry) is await known.of(entry)

    asyncio.run(run())


def test_another_tool_of_the_same_name_has_its_own_schema() -> None:
    async def run() -> None:
        known = KnownArguments()
        whole, text = await known.of(tool("integer")), await known.of(tool("string"))

        assert whole.fit({"n": 1}) == {"n": 1}
        with pytest.raises(ArgumentError, match=r"the arguments of double do not fit: \$\.n: 1 is not of type 'string'"):
            text.fit({"n": 1})

    asyncio.run(run())


def test_only_those_that_were_used_last_are_kept() -> None:
    async def run() -> None:
        known, used = KnownArguments(), tool("integer")
        first = await known.of(used)
        left = tool("string")
        gone = await known.of(left)
        for _ in range(MAX_KEPT - 1):
            assert await known.of(used) is first
            await known.of(tool("integer"))

        assert await known.of(used) is first
        assert await known.of(left) is not gone

    asyncio.run(run())


def test_schemas_of_many_small_lists_are_kept_as_far_as_they_count() -> None:
    def large() -> ToolEntry:
        return ToolEntry("double", "own", parameters={"properties": {"n": {"enum": [[] for _ in range(60_000)]}}})

    async def run() -> None:
        known, oldest, middle, newest = KnownArguments(), large(), large(), large()
        first, second, third = [await known.of(entry) for entry in (oldest, middle, newest)]

        assert first.counted > MAX_KEPT_BYTES / 3
        assert await known.of(newest) is third and await known.of(middle) is second
        assert await known.of(oldest) is not first

    asyncio.run(run())
