"""Tools of an agent as a script gives them: looked up, checked, and their functions kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services.agents.definition import MAX_TOOLS
from llmspell_kernel.services.agents.parts import Part, described, part_of
from llmspell_kernel.services.agents.roster import Member

from ._bridge import Context


async def add_tools(ctx: Context, member: Member, tools: Sequence[Any]) -> None:
    """Raises ArgumentError and ScriptError, and then the agent has none of them."""
    parts = await parts_of(ctx, tools)
    tried = msgspec.structs.replace(member.definition)
    for part in parts:
        if part.entry.kind == "own":
            await asyncio.to_thread(check_schema, part.entry.parameters)
        tried.add(part.entry)
    member.definition = tried
    for part in parts:
        if part.run is not None:
            member.functions[part.entry.name] = ctx.function(part.run)


async def parts_of(ctx: Context, tools: Sequence[Any]) -> list[Part]:
    if len(tools) > MAX_TOOLS:  # each registered one is asked for, and a list may name the same one a million times
        raise ArgumentError(f"{len(tools):,} tools are given, and an agent has {MAX_TOOLS} at the most; leave some out")
    found = []
    for number, tool in enumerate(tools, 1):
        part = part_of(tool, f"tool {number}")
        found.append(part if isinstance(part, Part) else Part(described(part, await ctx.call("tools", "describe", part))))
    return found


def check_schema(schema: dict[str, Any]) -> None:
    from llmspell_kernel.services.schema.validation import Schema  # 150 ms, which a kernel that needs it not does without

    Schema(schema)
