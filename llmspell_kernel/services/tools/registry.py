"""The tools of one session by name: the built-in ones, Python's, and those that scripts and bridges have registered.

Rules
- The name of a built-in or Python tool is never taken by a script.
- A name has one tool at a time, the one that was registered last.  A state that is restored registers its tools again, and takes no name that a
  living state has by then; its own calls are made again with its own tools.
- What a state registered is kept while the session lasts, also when it is removed: a call that is made again finds what it found.  So all of it
  is counted together, whatever states there were, and one that registers a name again gives back what that one counted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from llmspell_kernel.errors import LimitError, ScriptError
from llmspell_kernel.values import held_bytes

from .checks import Checks
from .library import ToolLibrary
from .tool import BuiltIn, ToolSpec
from .tool_names import unknown

MAX_OF_A_STATE = 1_000
MAX_BYTES = 16_000_000
"""Of what all tools count that scripts and bridges registered in a session: at most 64 MB of memory, and 200 times what a large set of tools has."""
TOOL_BYTES = 500
"""What each counts beside what is written of it: a quarter of the memory that its function, its checks and its places in tables take."""
TIMEOUT_S = 60.0


class Owner(NamedTuple):
    """A script state."""

    engine: str
    state: str


class Function(Protocol):
    """A script's function that was kept, as far as its state matters."""

    @property
    def is_alive(self) -> bool: ...

    async def ready(self) -> None: ...


class Tool(msgspec.Struct, frozen=True):
    """`run` gets the context of a call, and arguments that fit."""

    spec: ToolSpec
    source: str
    """`script`, `python`, `built-in`, or the bridge that provides it."""
    run: Callable[[Any, dict[str, Any]], Awaitable[Any]]
    checks: Checks
    timeout_s: float = TIMEOUT_S
    owner: Owner | None = None
    function: Function | None = None

    @property
    def is_alive(self) -> bool:
        return self.function is None or self.function.is_alive

    def counted(self) -> int:
        """What it counts among those that are kept; a schema of the largest size takes milliseconds."""
        return TOOL_BYTES + held_bytes(self.spec, MAX_BYTES)


class Registry:
    def __init__(self, built_ins: Mapping[str, BuiltIn], library: ToolLibrary, of_built_in: Callable[[BuiltIn], Tool]) -> None:
        self._built_ins = {name: of_built_in(tool) for name, tool in built_ins.items()}
        self._library = library
        self._python: dict[str, tuple[Any, Tool]] = {}
        self._of_states: dict[Owner, dict[str, Tool]] = {}
        self._current: dict[str, Owner] = {}
        self._counted: dict[tuple[Owner, str], int] = {}
        self._counted_together = 0

    def names(self) -> list[str]:
        own = [name for name, owner in self._current.items() if self._of_states[owner][name].is_alive]
        return sorted({*self._built_ins, *self._library.names(), *own})

    def find(self, name: str, owner: Owner | None = None) -> Tool | None:
        """The tool of that name; with an owner, the one that this state registered, if it did."""
        if name in self._built_ins:
            return self._built_ins[name]
        if (made := self._library.get(name)) is not None:
            return self._of_python(name, made)
        if owner is not None and (own := self.registered(owner, name)) is not None:
            return own
        holder = self._current.get(name)
        return None if holder is None else self._of_states[holder][name]

    def registered(self, owner: Owner, name: str) -> Tool | None:
        """What a state registered last by that name, removed or not."""
        return self._of_states.get(owner, {}).get(name)

    def living(self, name: str) -> Tool:
        """Raises ScriptError (unknown_tool) where there is none, with the nearest name, or where its state has ended."""
        tool = self.find(name)
        if tool is None:
            raise unknown(name, self.names())
        if not tool.is_alive:
            raise ended(tool)
        return tool

    def add(self, tool: Tool, counted: int, *, again: bool) -> None:
        """`again`: the state that registers it is being restored or copied.  Raises ScriptError for a name that is taken for good, and LimitError."""
        name, owner = tool.spec.name, tool.owner
        assert owner is not None
        self._check_free(name)
        own = self._of_states.setdefault(owner, {})
        if name not in own and len(own) >= MAX_OF_A_STATE:
            raise LimitError(
                f"the {owner.engine} state '{owner.state}' has registered {MAX_OF_A_STATE:,} tools; that is the limit",
                limit="tools",
                value=MAX_OF_A_STATE,
                used=len(own) + 1,
            )
        self._count(owner, name, counted)
        own[name] = tool
        holder = self._current.get(name)
        if not again or holder is None or holder == owner or not self._of_states[holder][name].is_alive:
            self._current[name] = owner

    def remove(self, name: str, by: Owner, *, again: bool) -> None:
        """`again`: what was removed by a state that is being restored, where it is not another one's by now."""
        self._check_free(name)
        if not again or self._current.get(name) == by:
            self._current.pop(name, None)

    def _count(self, owner: Owner, name: str, counted: int) -> None:
        together = self._counted_together - self._counted.get((owner, name), 0) + counted
        if together > MAX_BYTES:
            raise LimitError(
                f"with '{name}' the tools that were registered in this session would count {together:,} bytes, {MAX_BYTES:,} is the most; those that"
                " were removed count too, as calls that are made again find them: register smaller schemas, or one of these names again in its state",
                limit="tools_bytes",
                value=MAX_BYTES,
                used=together,
            )
        self._counted[owner, name] = counted
        self._counted_together = together

    def _check_free(self, name: str) -> None:
        if name in self._built_ins:
            raise ScriptError(f"'{name}' is a built-in tool; choose another name, such as 'my_{name}'", code="tool_name")
        if self._library.get(name) is not None:
            raise ScriptError(f"'{name}' is a Python tool of the notebook; choose another name, such as 'my_{name}'", code="tool_name")

    def _of_python(self, name: str, made: Any) -> Tool:
        known = self._python.get(name)
        if known is None or known[0] is not made:
            known = self._python[name] = (made, Tool(made.spec, "python", made, Checks(made.spec), made.timeout_s))
        return known[1]


def ended(tool: Tool) -> ScriptError:
    owner = tool.owner
    assert owner is not None
    return ScriptError(
        f"the tool '{tool.spec.name}' was registered by the {owner.engine} state '{owner.state}', which was lost or has ended; run the cell"
        " again that registers it",
        code="unknown_tool",
    )
