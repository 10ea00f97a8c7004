"""Tools that Python functions are: those of one session, and those that the whole process has declared by `llmspell_kernel.tool`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from llmspell_kernel.errors import ConfigError

from .available import built_ins
from .tool import ToolSpec


class PythonTool(Protocol):
    """What `bridges._python_tools` makes of a function."""

    spec: ToolSpec
    timeout_s: float

    async def __call__(self, ctx: Any, arguments: dict[str, Any]) -> Any:
        """Calls the function with arguments that fit the schema.  Raises ArgumentError where they do not fit its annotations."""


class ToolLibrary:
    """`beyond` is asked for what is not here."""

    def __init__(self, beyond: ToolLibrary | None = None) -> None:
        self._own: dict[str, PythonTool] = {}
        self._beyond = beyond

    def __iter__(self) -> Iterator[PythonTool]:
        """Sorted by name."""
        return iter([tool for name in self.names() if (tool := self.get(name)) is not None])

    def names(self) -> list[str]:
        return sorted({*self._own, *(self._beyond.names() if self._beyond is not None else ())})

    def get(self, name: str) -> PythonTool | None:
        return self._own.get(name) or (self._beyond.get(name) if self._beyond is not None else None)

    def add(self, tool: PythonTool) -> None:
        """Adds a tool, or replaces the one of that name.  Raises ConfigError for the name of a built-in one."""
        name = tool.spec.name
        if name in built_ins():
            raise ConfigError(f"tool: '{name}' is the name of a built-in tool; choose another: tool(name='my_{name}')")
        self._own[name] = tool


DECLARED = ToolLibrary()
"""Those of `llmspell_kernel.tool`, for every session of this process, as the types of `register_type` are."""
