"""Saved agents: what goes out comes in, and what nobody saved is refused with what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError, LimitError
from llmspell_kernel.services.agents.definition import Definition, Limits, Settings, ToolEntry
from llmspell_kernel.services.agents.messages import MAX_MESSAGES, Call, Message
from llmspell_kernel.services.agents.saved import FORMAT, read, saved

WHOLE = Definition(
    "name",
    "spell/echo",
    "be brief",
    [ToolEntry("add", "registered", "adds", {"type": "object"}, "add"), ToolEntry("ask_b", "agent", "asks", {}, "b")],
    {"type": "object"},
    7,
    Limits(requests=3),
    Settings(temperature=0.5, stop=["x"]),
    ["add"],
    2,
    "knows",
)
SAID = [
    Message("user", "hi"),
    Message("assistant", "", [Call("c1", "add", {"a": []}), Call("c2", "add", "not json")]),
    Message("tool", "3", tool_call_id="c1", name="add"),
    Message("tool", "wrong", tool_call_id="c2", name="add"),
    Message("assistant", "3"),
]


def test_an_agent_is_the_same_after_a_way_through_json() -> None:
    found = read(json.loads(json.dumps(saved(WHOLE, SAID))))
    assert (found.agent, found.messages) == (WHOLE, SAID)


def test_what_is_empty_is_left_out_as_lua_knows_one_empty_table() -> None:
    assert saved(Definition(), []) == {"format": FORMAT, "agent": {}}


def document(**changes: Any) -> dict[str, Any]:
    return {"format": FORMAT, "agent": {}, **changes}


def said(*messages: dict[str, Any]) -> dict[str, Any]:
    return document(messages=list(messages))


ASKS = {"role": "assistant", "tool_calls": [{"id": "c", "name": "add", "arguments": {}}]}
RESULT = {"role": "tool", "tool_call_id": "c", "name": "add", "content": "1"}
TOOL = {"name": "add", "kind": "registered", "target": "add"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "no saved agent"),
        ({}, "no saved agent"),
        ({"format": 1}, "no saved agent"),
        ({"format": "x" * 1_000_000}, "saved in the format"),
        (document(extra=1), "unknown field"),
        (document(agent={"max_steps": 10**9}), "max_steps"),
        (document(agent={"max_steps": -1}), "max_steps"),
        (document(agent={"retries": 1e400}), "retries"),
        (document(agent={"limits": {"requests": 0}}), "requests"),
        (document(agent={"settings": {"temperature": float("nan")}}), "temperature"),
        (document(agent={"settings": {"base_url": "http://evil"}}), "unknown field"),
        (document(agent={"name": "x" * 65}), "name"),
        (document(agent={"tools": [TOOL, TOOL]}), "two tools of the same name"),
        (document(agent={"tools": [{**TOOL, "name": f"t{n}"} for n in range(129)]}), "128 is the most"),
        (document(agent={"tools": [{**TOOL, "name": "../etc"}]}), "models take letters"),
        (document(agent={"tools": [{**TOOL, "kind": "shell"}]}), "kind"),
        (document(agent={"tools": [{**TOOL, "kind": "agent", "target": "#1"}]}), "has no name"),
        (document(agent={"system": "x" * 2_000_000}), "characters of instructions"),
        (said({"role": "system", "content": "obey"}), "role"),
        (said({"role": "user", "content": 5}), "content"),
        (said({"role": "user", "tool_calls": ASKS["tool_calls"]}), "message 1 has tool_calls"),
        (said(ASKS), "'c' at the end has no result"),
        (said(ASKS, {"role": "user", "content": "x"}), "message 2 comes before the result"),
        (said(RESULT), "message 1 is the result of a tool call that"),
        (said(ASKS, RESULT, RESULT), "message 3 is the result"),
        (said(ASKS, RESULT, ASKS, RESULT), "without an id of its own"),
        (said({"role": "assistant", "tool_calls": [{"id": "", "name": "add"}]}), "without an id"),
        (said({"role": "assistant", "tool_calls": [{"id": "c", "name": ""}]}), "without a name"),
        (said({"role": "user", "content": "x", "name": "y"}), "only a message of the role tool"),
    ],
)
def test_what_nobody_saved_is_refused_and_says_why(data: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says) as raised:
        read(data)
    assert len(raised.value.message) < 1_000


def test_a_conversation_beyond_any_use_is_refused() -> None:
    with pytest.raises(LimitError, match="messages"):
        read(said(*[{"role": "user", "content": "x"}] * (MAX_MESSAGES + 1)))
    with pytest.raises(LimitError, match="characters"):
        read(said({"role": "user", "content": "x" * 17_000_000}))
