"""The model of an agent, for pydantic-ai: a call of `llm.generate`.

What a model says is not trusted: ids and sizes of its tool calls are made to fit before they come into the conversation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_ai import ModelSettings
from pydantic_ai.messages import FinishReason, ModelMessage, ModelResponse, ModelResponsePart, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.usage import RequestUsage

from llmspell_kernel.errors import BridgeError, LimitError

from .accounts import Account
from .definition import Definition
from .host import Host
from .messages import CallIds, arguments_chars, check_size, plain
from .translation import from_library

MAX_CALLS = 64
"""Tool calls of one answer."""
MAX_ARGUMENTS_CHARS = 200_000
QUOTED_CHARS = 500
FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length", "tool_calls": "tool_call", "content_filter": "content_filter"}


class BridgedModel(Model):
    """`unusable` are the tool calls whose arguments were left out, with what the model is told of them."""

    def __init__(self, definition: Definition, host: Host, account: Account, ids: CallIds, system: str | None) -> None:
        super().__init__()
        self._definition = definition
        self._host = host
        self._account = account
        self._ids = ids
        self._instructions = system
        self.steps = 0
        self.answered_by = ""
        self.finish_reason = ""
        self.unusable: dict[str, str] = {}

    @property
    def model_name(self) -> str:
        return self._definition.model or "session"

    @property
    def system(self) -> str:
        return "llmspell"

    def prepare_messages(
        self, messages: list[ModelMessage], model_request_parameters: ModelRequestParameters | None = None
    ) -> list[ModelMessage]:
        """As they are: `llm.generate` knows its providers, and the same conversation must be asked in the same words by every version."""
        return messages

    async def request(
        self, messages: list[ModelMessage], model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> ModelResponse:
        self._begin_step()
        self._account.before_request()
        said = from_library(messages)
        check_size(said)
        await self._host.step(self.steps)
        answer = await self._host.generate(
            plain(said), self._options(model_request_parameters), lambda text: self._host.tell({"type": "text", "text": text})
        )
        return self._response(answer)

    def _begin_step(self) -> None:
        most = self._definition.max_steps
        if self.steps >= most:
            raise LimitError(
                f"{self._account.owner} took {most} steps and has no answer; its max_steps = {most} can be raised, up to 1000, or the task"
                " made smaller",
                limit="agent_max_steps",
                value=most,
                used=self.steps,
            )
        self.steps += 1

    def _options(self, parameters: ModelRequestParameters) -> dict[str, Any]:
        settings = self._definition.settings
        given = {name: getattr(settings, name) for name in settings.__struct_fields__}
        tools = [
            {"name": tool.name, "description": tool.description or "", "parameters": tool.parameters_json_schema}
            for tool in parameters.function_tools
        ]
        if not tools:
            given.pop("tool_choice")
        options = {**given, "model": self._definition.model, "system": self._instructions or None, "tools": tools or None}
        return {name: value for name, value in options.items() if value is not None}

    def _response(self, answer: Mapping[str, Any]) -> ModelResponse:
        text, calls, used = answer["text"], answer["tool_calls"], answer["usage"]
        self.answered_by, self.finish_reason = str(answer["model"]), str(answer["finish_reason"])
        usage = RequestUsage(
            input_tokens=used["input_tokens"], output_tokens=used["output_tokens"], cache_read_tokens=used.get("cached_tokens", 0)
        )
        self._account.used(usage, answer["cost_usd"])
        if len(calls) > MAX_CALLS:
            raise BridgeError(
                f"{self.answered_by} asked for {len(calls)} tool calls at once, {MAX_CALLS} is the most that is made", code="bad_response"
            )
        parts: list[ModelResponsePart] = [TextPart(text)] if text or not calls else []
        return ModelResponse(
            parts=[*parts, *self._calls(calls)],
            usage=usage,
            model_name=self.answered_by,
            finish_reason=FINISH.get(self.finish_reason) if not calls else None,
        )

    def _calls(self, calls: Sequence[Mapping[str, Any]]) -> list[ModelResponsePart]:
        found: list[ModelResponsePart] = []
        for call in calls:
            number, arguments = self._ids.own(call.get("id")), call["arguments"]
            if fault := _fault(arguments):
                self.unusable[number] = fault
            if fault or isinstance(arguments, str):
                arguments = {}
            found.append(ToolCallPart(str(call["name"])[:128], arguments, tool_call_id=number))
        return found


def _fault(arguments: dict[str, Any] | str) -> str:
    """A text is what a model wrote in place of a JSON object; nothing is what some write for no arguments."""
    if (chars := arguments_chars(arguments)) > MAX_ARGUMENTS_CHARS:
        return f"The arguments have {chars:,} characters, {MAX_ARGUMENTS_CHARS:,} is the most: say it in fewer."
    if isinstance(arguments, str) and arguments.strip() not in ("", "null"):
        return f"The arguments are no JSON object: {arguments[:QUOTED_CHARS]}"
    return ""
