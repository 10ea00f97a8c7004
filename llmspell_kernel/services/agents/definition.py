"""What an agent is, before it has said anything."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from llmspell_kernel.errors import ArgumentError, nearest
from llmspell_kernel.services.llm.models import Count, Retries, Seconds, Share, Temperature
from llmspell_kernel.values import held_bytes

MAX_STEPS = 20
"""Of one run, unless the script says otherwise: pydantic-ai's own 50 is a bill that nobody meant."""
MAX_TOOLS = 128
"""The most that the large providers take."""
NAME_CHARS = 64
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What the large providers take as the name of a function."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS)]
Steps = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
NoLess = Annotated[int, msgspec.Meta(ge=1)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one run may use, with the agents that it calls.

    - requests: to models
    - input_tokens: sent to models
    - output_tokens: answered by models
    - total_tokens: both together
    - tool_calls: that succeed
    """

    requests: NoLess | None = None
    input_tokens: NoLess | None = None
    output_tokens: NoLess | None = None
    total_tokens: NoLess | None = None
    tool_calls: NoLess | None = None


COUNTED = ("input_tokens", "output_tokens", "total_tokens", "requests", "tool_calls")
"""What is counted of a run, and given as its `usage`."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How its model answers, as options of `llm.chat`.

    - temperature: 0 repeats itself, higher varies more
    - max_tokens: at most this many tokens of each answer
    - top_p: choose among the likeliest tokens that make up this share
    - stop: end an answer where one of these texts would come
    - seed: the same seed asks for the same answer, where the provider can
    - timeout_s: seconds to wait for each answer
    - retries: how often to ask again where the provider is overloaded or down
    - tool_choice: "auto", "none" or "required"
    """

    temperature: Temperature | None = None
    max_tokens: Count | None = None
    top_p: Share | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    timeout_s: Seconds | None = None
    retries: Retries | None = None
    tool_choice: Literal["auto", "none", "required"] | None = None


class AgentOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent.

    - name: by which `agent.get` finds it; an agent without one lives as long as the script holds it
    - model: a model's name; else the session's
    - system: instructions, which stand before the conversation
    - tools: names of registered tools, tables {name, description, parameters, run}, and what `as_tool` and `agent.handoff` give
    - output: a JSON Schema that its answer must fit; the answer is then a value in place of a text
    - max_steps: how often its model may be asked in one run
    - limits: what one run may use
    - settings: how its model answers
    - approve: true, or names of tools, whose calls the user is asked about
    - retries: how often a wrong call of one tool, or an answer that does not fit, is shown to the model before the run ends
    - description: what others are told of it, where it is their tool
    - memory: the name of a kept conversation: what that holds comes before the agent's own, and what is asked and answered is added to it
    """

    name: Name | None = None
    model: str | None = None
    system: str | None = None
    tools: list[Any] = []
    output: dict[str, Any] | None = None
    max_steps: Steps = MAX_STEPS
    limits: Limits = Limits()
    settings: Settings = Settings()
    approve: bool | list[str] = False
    retries: Retries = 3
    description: str = ""
    memory: Name | None = None


class ToolEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tool as an agent's model knows it, and how it is called: what is written down of it.

    `kind`: "registered" by the name `target` in the bridge tools; "own", a function that this agent was given; "agent", the agent `target` as
    a tool; "handoff", which gives the conversation to the agent `target`.
    """

    name: str
    kind: Literal["registered", "own", "agent", "handoff"]
    description: str = ""
    parameters: dict[str, Any] = {}
    target: str = ""


ASKED = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "what to ask of it, with all that it must know"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""The parameters of an agent that is a tool."""
NOTHING: dict[str, Any] = {"type": "object", "properties": {}}


class Definition(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An agent's options once they were looked at; what `set_system`, `add_tool` and `remove_tool` change."""

    name: Annotated[str, msgspec.Meta(max_length=NAME_CHARS)] = ""
    model: str | None = None
    system: str | None = None
    tools: list[ToolEntry] = []
    output: dict[str, Any] | None = None
    max_steps: Steps = MAX_STEPS
    limits: Limits = Limits()
    settings: Settings = Settings()
    approve: bool | list[str] = False
    retries: Retries = 3
    description: str = ""
    memory: Name | None = None

    def counted(self, most: int) -> int:
        """What all that is written down of it counts, as values of scripts do, soon after `most`.  Of large schemas it takes milliseconds."""
        return held_bytes(self, most)

    def add(self, entry: ToolEntry) -> None:
        """Raises ArgumentError for a name that is taken, or that no provider would take."""
        if not TOOL_NAME.fullmatch(entry.name):
            raise ArgumentError(f"a tool cannot be called {entry.name[:80]!r}: models take letters, digits, _ and -, 64 at the most")
        if any(entry.name == tool.name for tool in self.tools):
            raise ArgumentError(f"this agent has a tool '{entry.name}' already; remove that one first, or give this one another name")
        if len(self.tools) >= MAX_TOOLS:
            raise ArgumentError(f"an agent has {MAX_TOOLS} tools at the most; leave '{entry.name}' out")
        self.tools = [*self.tools, entry]

    def remove(self, name: str) -> bool:
        """Was there one of that name?"""
        kept = [tool for tool in self.tools if tool.name != name]
        found = len(kept) < len(self.tools)
        self.tools = kept
        return found

    def check_approve(self) -> None:
        """Raises ArgumentError for a name that is none of its tools: nobody would ever be asked."""
        names = [tool.name for tool in self.tools]
        for name in self.approve if isinstance(self.approve, list) else ():
            if name not in names:
                raise ArgumentError(
                    f"approve names '{name[:80]}', and this agent has no such tool{nearest(name[:80], names)}; approve = true asks before every"
                    " tool, also those that are added later"
                )

    def asks_before(self, tool: str) -> bool:
        return self.approve if isinstance(self.approve, bool) else tool in self.approve


def defined(options: AgentOptions) -> Definition:
    """Without its tools, which only the bridge can look up."""
    fields = {name: getattr(options, name) for name in AgentOptions.__struct_fields__ if name != "tools"}
    return Definition(**{**fields, "name": options.name or "", "approve": options.approve or False})
