"""The built-in tool `run_script`: a model's own script, which can call the tools it is granted and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmspell_kernel.values import Value

from .tool import BuiltIn, Calls, ToolSpec

MAX_CODE_CHARS = 100_000
MAX_TOOLS = 100


def _spec(languages: Sequence[str]) -> ToolSpec:
    return ToolSpec(
        name="run_script",
        description=(
            "Run a script of your own in a fresh sandbox, and get what it gives. It has no files, no network and no variables from earlier"
            " runs. It can call the tools that you list, by tools.call(name, arguments) (in JavaScript: await tools.call(name, arguments)),"
            " and tools.list() tells which. The value of its last expression or return is the result. Its time and memory are limited."
        ),
        parameters={
            "type": "object",
            "properties": {
                "language": {"type": "string", "enum": [*languages], "description": "the language of the code"},
                "code": {"type": "string", "minLength": 1, "maxLength": MAX_CODE_CHARS},
                "tools": {
                    "type": "array",
                    "items": {"type": "string"},
                    "maxItems": MAX_TOOLS,
                    "default": [],
                    "description": "names of the tools that it may call",
                },
            },
            "required": ["language", "code"],
            "additionalProperties": False,
        },
        returns={
            "type": "object",
            "properties": {
                "values": {"type": "array", "description": "what the script gave"},
                "printed": {"type": "string", "description": "what it printed"},
                "error": {"description": "null, or {code, message} of what ended it"},
            },
            "required": ["values", "printed"],
        },
    )


async def _run(calls: Calls, arguments: dict[str, Any]) -> Value:
    return await calls("tools", "run_script", arguments["language"], arguments["code"], arguments["tools"])


def run_script(languages: Sequence[str]) -> BuiltIn:
    """The tool, for scripts in these languages."""
    return BuiltIn(_spec(languages), _run)
