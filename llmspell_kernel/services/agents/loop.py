"""One run of an agent: pydantic-ai's loop, its limits, its retries and its check of the output, over calls of bridges.

Rules
- However a run ends, its outcome has the conversation as far as it came, and that is valid.
- What a tool fails with is told to the model, so often as the agent's `retries` say; what was refused or met a limit ends the run.
- The output is asked for in words and read from the text: that works with every model, also beside tools, and the schema is checked by us.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
from pydantic_ai import Agent, ModelRetry, RunContext, TextOutput, UnexpectedModelBehavior, UsageLimitExceeded
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import ModelMessage, ModelRequest, RetryFeedbackPart, ToolReturnPart
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from llmspell_kernel.errors import ArgumentError, BridgeError, RefusedError, ScriptError, SpellError
from llmspell_kernel.services.llm.objects import ObjectRequest

from .accounts import Account, exceeded, limit_error, usage_limits
from .arguments import KnownArguments
from .definition import NOTHING, Definition, ToolEntry
from .grants import check_granted
from .host import Host, Outcome
from .messages import CallIds, Message, check_size, closed
from .model import BridgedModel
from .outputs import KnownOutputs
from .showing import cut, shown
from .translation import feedback, from_library, to_library

_OBJECT = SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))


class _Tools(AbstractToolset[None]):
    """The agent's tools as pydantic-ai has them."""

    def __init__(self, definition: Definition, host: Host, account: Account, known: KnownArguments) -> None:
        self._definition = definition
        self._host = host
        self._account = account
        self._known = known
        self.unusable: dict[str, str] = {}
        self.handoff: ToolEntry | None = None
        self.results: dict[str, str] = {}
        """Of this run, by the id of the call: a run that is stopped tells the library's history only those of calls before."""

    @property
    def id(self) -> str | None:
        return None

    async def get_tools(self, ctx: RunContext[None]) -> dict[str, ToolsetTool[None]]:
        return {entry.name: self._tool(entry) for entry in self._definition.tools}

    def _tool(self, entry: ToolEntry) -> ToolsetTool[None]:
        about = ToolDefinition(
            name=entry.name, description=entry.description, parameters_json_schema=dict(entry.parameters or NOTHING), strict=False
        )
        return ToolsetTool(toolset=self, tool_def=about, max_retries=self._definition.retries, args_validator=_OBJECT)

    async def call_tool(self, name: str, tool_args: dict[str, Any], ctx: RunContext[None], tool: ToolsetTool[None]) -> str:
        entry = next(entry for entry in self._definition.tools if entry.name == name)
        number = ctx.tool_call_id or ""
        if number in self.unusable:
            raise ModelRetry(self.unusable[number])
        try:
            arguments = await self._checked(entry, tool_args)
        except ArgumentError as error:
            raise ModelRetry(error.message) from error
        await self._host.room()
        self._host.tell({"type": "tool_call", "id": number, "name": name, "arguments": shown(arguments)})
        try:
            result = await self._made(entry, arguments)
        except (ScriptError, BridgeError) as error:
            self._host.tell({"type": "tool_result", "id": number, "name": name, "error": cut(error.message)})
            raise ModelRetry(cut(f"{name} failed: {error.message}")) from error
        self._host.tell({"type": "tool_result", "id": number, "name": name, "result": shown(result)})
        text = self.results[number] = cut(result if isinstance(result, str) else msgspec.json.encode(result).decode())
        return text

    async def _checked(self, entry: ToolEntry, arguments: dict[str, Any]) -> dict[str, Any]:
        """With defaults.  A registered tool checks its arguments itself.  Raises ArgumentError naming every place that does not fit."""
        check_granted(self._definition, entry, arguments)
        if entry.kind == "registered" or not entry.parameters:
            return arguments
        checked = await self._known.of(entry)
        return checked.fit(arguments) if checked.is_quick(arguments) else await asyncio.to_thread(checked.fit, arguments)

    async def _made(self, entry: ToolEntry, arguments: dict[str, Any]) -> Any:
        asks = self._definition.asks_before(entry.name)
        try:
            if entry.kind == "handoff":
                return await self._handed_over(entry, asks)
            self._account.before_tool()
            result = await self._host.use(entry, arguments, asks=asks)
        except RefusedError as error:
            if not asks:
                raise
            return f"The user refused this call: {error.message}"
        self._account.tool_called()
        return result

    async def _handed_over(self, entry: ToolEntry, asks: bool) -> str:
        if asks:
            await self._host.ask_to_hand_over(entry)
        self._account.before_tool()
        if self.handoff is not None:
            raise ScriptError(f"the conversation goes to '{self.handoff.target}' already, and to one agent alone")
        self.handoff = entry
        return "The conversation is handed over."


class Loop:
    """Plays the runs of a session, and keeps what the next ones use again."""

    def __init__(self) -> None:
        self._known = KnownArguments()
        self._outputs = KnownOutputs()

    async def play(
        self,
        definition: Definition,
        history: list[Message],
        prompt: str | None,
        host: Host,
        account: Account,
        keep: Callable[[list[Message]], None],
    ) -> Outcome:
        """A run to its answer, or to the handoff that ends it.  `keep` is told the conversation, however it ends.

        Without a prompt, the run answers the conversation as it is.  Raises LimitError, DeniedError, BridgeError and what the model's call raises.
        """
        run = _Run(definition, history, host, account, self._known, await self._outputs.of(definition.output))
        messages: list[ModelMessage] = to_library(history)
        try:
            async with run.agent.iter(
                prompt, message_history=messages, usage_limits=usage_limits(account.limits), usage=account.usage
            ) as going:
                try:
                    async for node in going:
                        if run.tools.handoff is not None and Agent.is_model_request_node(node):
                            messages = [*going.all_messages(), node.request]
                            return run.outcome(messages, None)
                        if Agent.is_model_request_node(node):
                            run.tell_retries(node.request)
                finally:
                    if run.tools.handoff is None:
                        messages = going.all_messages()
                assert going.result is not None
                return run.outcome(messages, going.result.output)
        except UsageLimitExceeded as error:
            raise limit_error(account, exceeded(account, error)) from error
        except UnexpectedModelBehavior as error:
            raise run.gave_up(error) from error
        except (AgentRunError, UserError) as error:
            raise BridgeError(f"{account.owner} could not go on: {error}", code="agent") from error
        finally:
            keep(closed(from_library(messages), run.tools.results))


class _Run:
    """What belongs to one run."""

    def __init__(
        self,
        definition: Definition,
        history: list[Message],
        host: Host,
        account: Account,
        known: KnownArguments,
        output: ObjectRequest | None,
    ) -> None:
        self._definition, self._host, self._account = definition, host, account
        self._output = output
        self._retries = 0
        self._told = ""
        self.tools = _Tools(definition, host, account, known)
        self.model = BridgedModel(definition, host, account, CallIds(history), self._system())
        self.tools.unusable = self.model.unusable
        self.agent: Agent[None, Any] = Agent(
            self.model,
            output_type=str if self._output is None else TextOutput(self._read),
            toolsets=[self.tools],
            retries={"tools": definition.retries, "output": definition.retries},
            name=definition.name or "agent",
        )

    def _system(self) -> str | None:
        schema = self._definition.output
        if schema is None:
            return self._definition.system
        told = f"Give your final answer as one JSON value that fits this JSON Schema, and as nothing else:\n{json.dumps(schema)}"
        return f"{self._definition.system}\n\n{told}" if self._definition.system else told

    async def _read(self, text: str) -> Any:
        assert self._output is not None
        answer = await asyncio.to_thread(self._output.read, text)
        if answer.problems:
            wrong = "\n".join(f"- {problem}" for problem in answer.problems)
            raise ModelRetry(f"That does not fit the schema:\n{wrong}\nAnswer again, with the whole JSON value and nothing else.")
        self._host.tell({"type": "output", "output": answer.value})
        return answer.value

    def tell_retries(self, request: ModelRequest) -> None:
        """What the model is shown of its last answer's faults."""
        for part in request.parts:
            if isinstance(part, RetryFeedbackPart):
                self._tell_retry("its answer", feedback(part.content))
            elif isinstance(part, ToolReturnPart) and part.outcome == "retried":
                self._tell_retry(f"its call of {part.tool_name}", feedback(part.content))

    def _tell_retry(self, what: str, message: str) -> None:
        self._retries += 1
        self._told = message
        self._host.tell({"type": "retry", "message": message})
        self._host.log(
            f"{self._account.owner} is shown what is wrong with {what}: {' '.join(message[:500].split())}",
            {"retry": self._retries, "problem": message[:2_000]},
        )

    def gave_up(self, error: UnexpectedModelBehavior) -> SpellError:
        """The model was shown what is wrong often enough."""
        cause = error.__cause__
        last = (
            f"; the last was: {str(cause)[:500]}"
            if isinstance(cause, ModelRetry)
            else f"; the last was: {self._told[:500]}"
            if self._told
            else ""
        )
        times = self._definition.retries
        return BridgeError(
            f"{self._account.owner} ended without an answer: {error.message.partition('. Consider')[0][:300]}{last}; its model was shown what"
            f" is wrong {times} time{'s' if times != 1 else ''} (retries = {times}), and may be too small for the task",
            code="agent_gave_up",
            retryable=True,
        )

    def outcome(self, messages: list[ModelMessage], output: Any) -> Outcome:
        said = closed(from_library(messages))
        check_size(said)
        text = next((message.content for message in reversed(said) if message.role == "assistant"), "")
        return Outcome(
            messages=said,
            text=text,
            output=None if self._output is None else output,
            steps=self.model.steps,
            model=self.model.answered_by,
            finish_reason=self.model.finish_reason,
            handoff=self.tools.handoff,
            usage=self._account.counts(),
            cost_usd=self._account.cost_usd,
        )
