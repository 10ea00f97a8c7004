"""What an agent and its model have said: messages in the short form of `llm.generate`, so that they are the same whoever runs the loop.

Rules
- A conversation between two runs is valid: each tool call has a result.  Where a run was stopped or failed, what is missing is put in.
- Ids of tool calls are the model's.  Where it gives none, or one that the conversation has, they count up, so that a replay asks the same.
- Messages come from scripts and saved files too, so all of them are checked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from llmspell_kernel.errors import ArgumentError, LimitError
from llmspell_kernel.values import held_bytes

MAX_MESSAGES = 10_000
MAX_CHARS = 16_000_000
MESSAGE_CHARS = 100
"""What a message, and a call of a tool, counts beside its texts: one without a character takes some 150 bytes."""
ID_CHARS = 128
STOPPED = "(the run was stopped before this call gave a result)"


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model asks for a tool; `arguments` is its own text where that is no JSON object."""

    id: str
    name: str
    arguments: dict[str, Any] | str = {}


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message.  `tool_call_id` and `name` are of the call that a tool's result answers."""

    role: Literal["user", "assistant", "tool"]
    content: str = ""
    tool_calls: list[Call] = []
    tool_call_id: str = ""
    name: str = ""

    @property
    def chars(self) -> int:
        """What it counts: all its texts, and what arguments hold besides, as values of scripts count."""
        return MESSAGE_CHARS + len(self.content) + len(self.tool_call_id) + len(self.name) + sum(map(_call_chars, self.tool_calls))


def _call_chars(call: Call) -> int:
    held = len(call.arguments) if isinstance(call.arguments, str) else held_bytes(call.arguments, MAX_CHARS)
    return MESSAGE_CHARS + len(call.name) + len(call.id) + held


def chars_of(messages: Iterable[Message]) -> int:
    return sum(message.chars for message in messages)


def arguments_chars(arguments: dict[str, Any] | str) -> int:
    return len(arguments) if isinstance(arguments, str) else len(msgspec.json.encode(arguments))


def plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """As a script sees them, and `llm.generate` takes them."""
    return [_plain(message) for message in messages]


def _plain(message: Message) -> dict[str, Any]:
    match message.role:
        case "tool":
            return {"role": "tool", "tool_call_id": message.tool_call_id, "name": message.name, "content": message.content}
        case "assistant" if message.tool_calls:
            calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls]
            return {"role": "assistant", "content": message.content or None, "tool_calls": calls}
    return {"role": message.role, "content": message.content}


def closed(messages: Sequence[Message], results: Mapping[str, str] | None = None) -> list[Message]:
    """The conversation with a result for each call that has none: of those by id that came, or that the run was stopped."""
    whole: list[Message] = []
    open_calls: dict[str, Call] = {}
    for message in messages:
        if message.role != "tool":
            whole += _missing(open_calls, results or {})
            open_calls = {call.id: call for call in message.tool_calls}
        else:
            open_calls.pop(message.tool_call_id, None)
        whole.append(message)
    return [*whole, *_missing(open_calls, results or {})]


def _missing(calls: Mapping[str, Call], results: Mapping[str, str]) -> list[Message]:
    return [Message("tool", results.get(call.id, STOPPED), tool_call_id=call.id, name=call.name) for call in calls.values()]


def check_size(messages: Sequence[Message]) -> None:
    """Raises LimitError for a conversation that nobody's memory should hold, and no model takes."""
    if len(messages) > MAX_MESSAGES:
        raise LimitError(
            f"the conversation has {len(messages):,} messages, {MAX_MESSAGES:,} is the most; go on with a new agent",
            limit="messages",
            value=MAX_MESSAGES,
            used=len(messages),
        )
    if (chars := chars_of(messages)) > MAX_CHARS:
        raise LimitError(
            f"the conversation counts {chars:,} characters, {MAX_CHARS:,} is the most; go on with a new agent",
            limit="conversation_chars",
            value=MAX_CHARS,
            used=chars,
        )


def check(messages: Sequence[Message]) -> None:
    """Raises ArgumentError for a conversation that cannot have happened, naming the message; LimitError for one that is too large."""
    check_size(messages)
    known: set[str] = set()
    waiting: dict[str, str] = {}
    for number, message in enumerate(messages, 1):
        where = f"message {number}"
        if message.role != "assistant" and message.tool_calls:
            raise ArgumentError(f"{where} has tool_calls, which only a message of the role assistant has")
        if message.role != "tool" and (message.tool_call_id or message.name):
            raise ArgumentError(f"{where} has tool_call_id or name, which only a message of the role tool has")
        if message.role == "tool":
            if waiting.pop(message.tool_call_id, None) is None:
                raise ArgumentError(f"{where} is the result of a tool call that the message before it does not make")
            continue
        if waiting:
            raise ArgumentError(f"{where} comes before the result of the tool call {min(waiting)!r}")
        for call in message.tool_calls:
            if not 0 < len(call.id) <= ID_CHARS or call.id in known:
                raise ArgumentError(f"{where} has a tool call without an id of its own")
            if not call.name:
                raise ArgumentError(f"{where} has a tool call without a name")
            known.add(call.id)
            waiting[call.id] = call.name
    if waiting:
        raise ArgumentError(f"the tool call {min(waiting)!r} at the end has no result")


class CallIds:
    """Gives each tool call of a conversation an id of its own."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._known = {call.id for message in messages for call in message.tool_calls}

    def own(self, asked: Any) -> str:
        chosen = asked if isinstance(asked, str) and 0 < len(asked) <= ID_CHARS else ""
        number = len(self._known)
        while not chosen or chosen in self._known:
            number += 1
            chosen = f"call_{number}"
        self._known.add(chosen)
        return chosen
