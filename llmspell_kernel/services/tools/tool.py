"""What a tool is, whoever wrote it, and what one that comes with the package is given to work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from llmspell_kernel.levels import Level
from llmspell_kernel.values import Value


class ToolSpec(msgspec.Struct, frozen=True):
    """What its callers know of a tool.  `parameters` is the JSON Schema of an object, `returns` that of its result, None for anything."""

    name: str
    description: str
    parameters: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "object", "properties": {}})
    returns: dict[str, Any] | None = None
    level: Level = "read"
    version: str = "1"
    deprecated: str = ""
    """What to use instead, "" for a tool that is not."""

    def table(self) -> dict[str, Any]:
        """What a model, a script and `llmspell tools --json` are told of it."""
        return {
            "name": self.name,
            "description": self.description,
            "level": self.level,
            "parameters": self.parameters,
            "returns": self.returns,
        }


class Calls(Protocol):
    """Asks bridges, as `Context.call` does: under the policy of whoever called the tool, and as a part of its call."""

    async def __call__(self, bridge: str, method: str, *args: Value) -> Any: ...


class BuiltIn(NamedTuple):
    """A tool that comes with the package.  `run` gets arguments that fit `spec.parameters`, with its defaults filled in.

    It reaches the world by `Calls` alone, and computes the same from the same arguments: it is called again in a replay.
    """

    spec: ToolSpec
    run: Callable[[Calls, dict[str, Any]], Awaitable[Value]]
