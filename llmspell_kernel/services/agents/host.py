"""What a run of an agent asks of the bridge that started it, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, Protocol, TypedDict

from llmspell_kernel.values import Value

from .definition import ToolEntry
from .messages import Message


class Event(TypedDict):
    """What happens in a run, as it happens.

    "text": a piece of the model's answer; "tool_call" and "tool_result": one call, by `id`; "retry": the model is shown `message` and asked
    again; "handoff": `agent` goes on; "output": the answer that fits the schema; "done": `result` is what `run` gives.  Arguments and results of
    tools that are large are a text, cut.
    """

    type: Literal["text", "tool_call", "tool_result", "retry", "handoff", "output", "done"]
    text: NotRequired[str]
    id: NotRequired[str]
    name: NotRequired[str]
    arguments: NotRequired[Value]
    result: NotRequired[Value]
    error: NotRequired[str]
    message: NotRequired[str]
    agent: NotRequired[str]
    output: NotRequired[Value]


class Host(Protocol):
    """The world of one run.  All that is asked here is a call of its own, and raises SpellError."""

    async def room(self) -> None:
        """Before more is told: returns once what was told is read, but for a little."""

    async def step(self, number: int) -> None:
        """Before the model is asked for the `number`th time."""

    async def generate(
        self, messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any], on_text: Callable[[str], None]
    ) -> dict[str, Any]:
        """`llm.generate`."""

    async def use(self, tool: ToolEntry, arguments: dict[str, Any], *, asks: bool) -> Value:
        """What the tool gives.  `asks`: the user is asked about the call that is made, and RefusedError is their no."""

    async def ask_to_hand_over(self, tool: ToolEntry) -> None:
        """Asks the user whether the conversation may go to another agent.  Raises RefusedError."""

    def tell(self, event: Event) -> None:
        """What happened."""

    def log(self, message: str, fields: dict[str, Value]) -> None:
        """A warning."""


@dataclass(slots=True)
class Outcome:
    """What came of a run, also of one that failed: `messages` are the whole conversation then, valid."""

    messages: list[Message]
    text: str = ""
    output: Value = None
    steps: int = 0
    model: str = ""
    finish_reason: str = ""
    handoff: ToolEntry | None = None
    usage: dict[str, int] = field(default_factory=dict)
    cost_usd: float | None = 0.0
