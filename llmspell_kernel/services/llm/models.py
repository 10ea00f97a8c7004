"""The interface between the service and any model: what is asked, what comes back, and who owes what to whom."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Annotated, Any, Protocol

import msgspec

Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Retries = Annotated[int, msgspec.Meta(ge=0, le=10)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class ChatOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to answer.  What is left out is left to the model; an option a model does not know is an error, not ignored.

    `tools` are `{name, description, parameters}` tables, `parameters` being a JSON schema.  `response_format` is "json" or a table
    such as `{type = "json_schema", json_schema = {...}}`.  `timeout_s` limits the seconds spent waiting for the model
    within the call, altogether; reading a stream slowly does not count.

    - model: a model's name, such as spell/local or openai/gpt-4o-mini; else the session's
    - system: instructions that stand before the messages
    - temperature: 0 repeats itself, higher varies more; else the provider's own
    - max_tokens: at most this many tokens of answer
    - top_p: choose among the likeliest tokens that make up this share
    - stop: end the answer where one of these texts would come
    - seed: the same seed asks for the same answer, where the provider can
    - timeout_s: seconds to wait for the model, reading pauses not counted
    - retries: how often to ask again where the provider limits the rate of calls, or is overloaded or down, and nothing has come yet
    - tools: functions the model may call, as {name, description, parameters}
    - tool_choice: "auto", "none", "required", or the one to call
    - response_format: "json", or a table {type, json_schema}
    """

    model: str | None = None
    system: str | None = None
    temperature: Temperature | None = None
    max_tokens: Count | None = None
    top_p: Share | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    timeout_s: Seconds = 120.0
    retries: Retries = 2
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: str | dict[str, Any] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """As a script would write them: what is left to its default is left out, so that a cassette knows nothing of options that come later."""
        fields = ((known.name, known.default) for known in msgspec.structs.fields(self))
        return {name: value for name, default in fields if (value := getattr(self, name)) != default}


class ToolCall(msgspec.Struct, frozen=True):
    """A model asks for a tool.  `arguments` is the parsed object, or the model's own text where that is not a JSON object."""

    id: str
    name: str
    arguments: dict[str, Any] | str


class Usage(msgspec.Struct, frozen=True):
    """`cost_usd` None = the price is not known.  `cached_tokens` are part of `input_tokens`.  `estimated`: the provider has not said yet."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = None
    estimated: bool = False


class Request(msgspec.Struct, frozen=True):
    """One question to a model.  `messages` are checked, in the OpenAI form, the system text first; `model` is the full name."""

    model: str
    messages: list[dict[str, Any]]
    options: ChatOptions


class Delta(msgspec.Struct, frozen=True):
    """A piece of an answer.  Tool calls come whole; `finish_reason` ("stop", "length", "tool_calls", ...) and `usage` come once, late.

    `model` is told by one that has others answer: whose answer follows.
    """

    text: str = ""
    tool_calls: list[ToolCall] = []
    finish_reason: str = ""
    usage: Usage | None = None
    model: str = ""


AT_ONCE: AbstractAsyncContextManager[None] = nullcontext()
"""The turn of a model that answers any number at once."""


class Model(Protocol):
    """Anything that answers.  Its methods raise errors of our own tree only (BridgeError, ConfigError)."""

    async def prepare(self) -> None:
        """Called before each answer: loads what the first one needs (a library, weights).  Its time does not count for `timeout_s`."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Held while it answers.  The wait for it, of a model that answers one after the other, counts neither for `timeout_s` nor as latency."""

    def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        """The answer, piece by piece.  The service closes the generator in every case; closing ends the work and its connection.

        One that costs money tells a first usage as soon as the question is accepted: a call that fails before that may be counted as free.
        """


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """The text of the last user message, "" without one; parts other than text are left out."""
    for message in reversed(messages):
        if message["role"] == "user":
            return text_of(message)
    return ""


def text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content)


def words_of(text: str) -> list[str]:
    """The text in word-wise chunks that join to the same text: every chunk but the last ends with the white space after its word."""
    chunks: list[str] = []
    start = 0
    for index in range(1, len(text)):
        if text[index - 1].isspace() and not text[index].isspace():
            chunks.append(text[start:index])
            start = index
    return [*chunks, text[start:]] if text else []


def count_words(messages: list[dict[str, Any]]) -> int:
    """The token count of models without a tokenizer: words."""
    return sum(len(text_of(message).split()) for message in messages)
