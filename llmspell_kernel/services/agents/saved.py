"""Agents as JSON tables that another session, in another language, can read.

Rules: a saved agent comes from a file or a script, and is not trusted.  Its shape is checked while it is read, its sizes and its conversation
afterwards; it names tools and agents, and holds no code: functions are given anew by whoever loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from llmspell_kernel.errors import ArgumentError

from .definition import MAX_TOOLS, TOOL_NAME, Definition, ToolEntry
from .messages import Message, check
from .roster import UNNAMED

FORMAT = "llmspell.agent/1"
TEXT_CHARS = 1_000_000
"""Of the system text, and of the schemas of its tools and its output, altogether."""


class Saved(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One agent with its conversation.  What is empty is left out: Lua has one empty table for lists and objects."""

    format: str
    agent: Definition
    messages: list[Message] = []


def saved(definition: Definition, messages: Sequence[Message]) -> dict[str, Any]:
    written = msgspec.to_builtins(Saved(FORMAT, definition, list(messages)))
    assert isinstance(written, dict)
    return written


def read(data: Any) -> Saved:
    """Raises ArgumentError that says what is wrong with it, and LimitError for a conversation that is too large."""
    if not isinstance(data, dict) or not isinstance(data.get("format"), str):
        raise ArgumentError("this is no saved agent: give the table that a:save() gave, with its key 'format'")
    if data["format"] != FORMAT:
        raise ArgumentError(f"this agent was saved in the format {data['format'][:80]!r}, and this version reads {FORMAT!r}; save it again")
    try:
        found = msgspec.convert(data, Saved)
    except msgspec.ValidationError as error:
        raise ArgumentError(f"this saved agent cannot be read: {error}"[:500]) from None
    _check(found.agent)
    check(found.messages)
    return found


def _check(definition: Definition) -> None:
    if len(definition.tools) > MAX_TOOLS:
        raise ArgumentError(f"this saved agent has {len(definition.tools)} tools, {MAX_TOOLS} is the most")
    if any(tool.target.startswith(UNNAMED) for tool in definition.tools):
        raise ArgumentError(
            "this saved agent has another agent as a tool that has no name, so nobody can find it; name that one and save again"
        )
    names = [tool.name for tool in definition.tools]
    for name in names:
        if not TOOL_NAME.fullmatch(name):
            raise ArgumentError(f"this saved agent has a tool {name[:80]!r}: models take letters, digits, _ and -, 64 at the most")
    if len(set(names)) < len(names):
        raise ArgumentError("this saved agent has two tools of the same name")
    texts = sum(map(len, (definition.system or "", definition.name, definition.description, definition.model or "")))
    texts += sum(_chars(tool) for tool in definition.tools) + len(msgspec.json.encode(definition.output))
    if texts > TEXT_CHARS:
        raise ArgumentError(f"this saved agent has {texts:,} characters of instructions and schemas, {TEXT_CHARS:,} is the most")


def _chars(tool: ToolEntry) -> int:
    return len(tool.name) + len(tool.description) + len(tool.target) + len(msgspec.json.encode(tool.parameters))
