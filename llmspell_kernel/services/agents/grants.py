"""What an agent's model may give a script that it wrote to call: tools that this agent has itself, and no more of the session's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_kernel.errors import ArgumentError

from .definition import Definition, ToolEntry

RUN_SCRIPT = "run_script"
"""The registered tool that grants tools to a script; its argument `tools` has their names."""


def check_granted(definition: Definition, entry: ToolEntry, arguments: Mapping[str, Any]) -> None:
    """Raises ArgumentError, for the model, naming what the agent cannot grant.  A list that is none is the tool's own to refuse.

    A tool that the user is asked about one call at a time is not granted for any number of calls, unless the script itself is asked about.
    """
    wanted = arguments.get("tools")
    if entry.kind != "registered" or entry.target != RUN_SCRIPT or not isinstance(wanted, list):
        return
    own = [tool.target for tool in definition.tools if tool.kind == "registered"]
    if foreign := [str(name)[:80] for name in wanted if name not in own]:
        raise ArgumentError(
            f"run_script: {', '.join(foreign[:10])} cannot be granted: an agent grants registered tools that it has itself, which are"
            f" {', '.join(own)}"
        )
    asked = [] if definition.asks_before(entry.name) else [name for name in wanted if definition.asks_before(name)]
    if asked:
        raise ArgumentError(
            f"run_script: {', '.join(asked[:10])} cannot be granted, as the user is asked before each call; call it yourself"
        )
