"""What the loop keeps of the schemas of answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services.agents.outputs import MAX_KEPT, KnownOutputs


def schema(kind: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"n": {"type": kind}}}


def test_each_schema_is_made_once_and_only_those_that_were_used_last_are_kept() -> None:
    async def play() -> None:
        known, used, left = KnownOutputs(), schema("integer"), schema("string")
        first, gone = await known.of(used), await known.of(left)
        assert first is not None and first.read('{"n": "x"}').problems and gone is not None and not gone.read('{"n": "x"}').problems
        for _ in range(MAX_KEPT - 1):
            assert await known.of(used) is first
            await known.of(schema("integer"))
        assert await known.of(used) is first and await known.of(left) is not gone
        assert await known.of(None) is None

    asyncio.run(play())


def test_what_is_no_schema_is_told_each_time() -> None:
    async def play() -> None:
        known, wrong = KnownOutputs(), {"type": "object", "properties": {"n": {"minimum": "1"}}}
        for _ in range(2):
            with pytest.raises(ArgumentError, match="no JSON Schema"):
                await known.of(wrong)

    asyncio.run(play())
