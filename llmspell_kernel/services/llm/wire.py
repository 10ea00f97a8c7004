"""The OpenAI chat form that litellm and the local model share: options as request fields, tool calls put together from their pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from .answer_form import answer_form
from .messages import tools_of
from .models import ChatOptions, ToolCall

SAME_NAME = ("temperature", "max_tokens", "top_p", "stop", "seed", "tool_choice")


def chat_body(options: ChatOptions) -> dict[str, Any]:
    """The request fields for the options that were given; none for the others."""
    body = {name: value for name in SAME_NAME if (value := getattr(options, name)) is not None}
    if options.tools:
        body["tools"] = tools_of(options.tools)
    if options.response_format is not None:
        body["response_format"] = answer_form(options.response_format)
    return body


class ToolCallParts:
    """Collects the pieces of tool calls, which come by index, their arguments as pieces of JSON text."""

    def __init__(self) -> None:
        self._calls: dict[int, dict[str, str]] = {}
        self.chars = 0
        """Of all arguments together; the names and ids of calls, 100 for each call."""

    def add(self, pieces: Iterable[Any] | None) -> None:
        for piece in pieces or ():
            index, id, name, arguments = _fields(piece)
            self.chars += len(arguments) + (0 if index in self._calls else 100 + len(id) + len(name))
            call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
            call["id"] = call["id"] or id
            call["name"] = call["name"] or name
            call["arguments"] += arguments

    def whole(self) -> list[ToolCall]:
        return [ToolCall(call["id"], call["name"], parsed_arguments(call["arguments"])) for _, call in sorted(self._calls.items())]


def parsed_arguments(text: str) -> dict[str, Any] | str:
    """The object a model wrote as arguments, or its text as it is: models write malformed JSON, and the caller must see it."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return text


def _fields(piece: Any) -> tuple[int, str, str, str]:
    """One piece, be it a plain dict or an object of litellm's."""
    if isinstance(piece, Mapping):
        function = piece.get("function") or {}
        return piece.get("index") or 0, piece.get("id") or "", function.get("name") or "", function.get("arguments") or ""
    function = piece.function
    return piece.index or 0, piece.id or "", (function.name if function else "") or "", (function.arguments if function else "") or ""
