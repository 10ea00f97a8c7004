"""Between our messages and those of pydantic-ai, which the loop works on while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    RetryFeedbackPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from .messages import Call, Message

FEEDBACK_CHARS = 4_000


def to_library(messages: Sequence[Message]) -> list[ModelMessage]:
    """Results and user messages that follow one another are one request there."""
    found: list[ModelMessage] = []
    parts: list[ModelRequestPart] = []
    for message in messages:
        if message.role == "assistant":
            if parts:
                found.append(ModelRequest(parts=parts))
                parts = []
            found.append(ModelResponse(parts=_said(message)))
        elif message.role == "tool":
            parts.append(ToolReturnPart(tool_name=message.name, content=message.content, tool_call_id=message.tool_call_id))
        else:
            parts.append(UserPromptPart(content=message.content))
    return [*found, ModelRequest(parts=parts)] if parts else found


def _said(message: Message) -> list[ModelResponsePart]:
    calls: list[ModelResponsePart] = [ToolCallPart(call.name, call.arguments, tool_call_id=call.id) for call in message.tool_calls]
    return [TextPart(message.content), *calls] if message.content or not calls else calls


def from_library(messages: Sequence[ModelMessage]) -> list[Message]:
    return [message for one in messages for message in _ours(one)]


def _ours(message: ModelMessage) -> Iterator[Message]:
    if isinstance(message, ModelResponse):
        text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
        calls = [Call(part.tool_call_id, part.tool_name, _arguments(part)) for part in message.parts if isinstance(part, ToolCallPart)]
        yield Message("assistant", text, calls)
        return
    for part in message.parts:
        match part:
            case UserPromptPart():
                yield Message("user", str(part.content))
            case ToolReturnPart():
                yield Message("tool", feedback(part.content), tool_call_id=part.tool_call_id, name=part.tool_name)
            case RetryFeedbackPart():
                yield Message("user", feedback(part.content))


def _arguments(part: ToolCallPart) -> dict[str, Any] | str:
    return part.args if isinstance(part.args, str) else dict(part.args or {})


def feedback(content: Any) -> str:
    """A text as it is; of the library's own findings about arguments, where and what, without the arguments themselves."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content and all(isinstance(item, dict) and "msg" in item for item in content):
        found = "; ".join(f"{'.'.join(map(str, item.get('loc', ()))) or 'the arguments'}: {item['msg']}" for item in content)
        return f"These arguments cannot be read: {found}"[:FEEDBACK_CHARS]
    return msgspec.json.encode(content).decode()
