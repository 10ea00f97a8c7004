"""Python functions as tools: `@llmspell.tool` makes the schema from their annotations and docstrings, as `llmspell.expose` makes a bridge.

What holds for exposed functions holds here; see `_exposed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import unwrap
from traceback import walk_tb
from typing import Any, TypedDict, TypeVar, Unpack, overload

from llmspell_kernel.errors import ConfigError, ScriptError
from llmspell_kernel.levels import Level
from llmspell_kernel.services.tools.library import DECLARED
from llmspell_kernel.services.tools.registry import TIMEOUT_S
from llmspell_kernel.services.tools.tool import ToolSpec
from llmspell_kernel.services.tools.tool_names import check_name

from ._bridge import Context
from ._declaration import MethodDeclaration, declare
from ._exposed import exposed_functions
from ._host_kinds import schemas_of

F = TypeVar("F", bound=Callable[..., Any])


class ToolOptions(TypedDict, total=False):
    """`name` is by default the function's, `description` its docstring."""

    name: str
    description: str
    level: Level
    version: str
    deprecated: str
    timeout_s: float


@overload
def tool(function: F, **options: Unpack[ToolOptions]) -> F: ...


@overload
def tool(function: None = None, **options: Unpack[ToolOptions]) -> Callable[[F], F]: ...


def tool(function: F | None = None, **options: Unpack[ToolOptions]) -> F | Callable[[F], F]:
    """Makes a typed Python function a tool of every session of this process; `Session.tool` makes it one of that session alone.

    A decorator, with or without options: `@tool`, `@tool(level="write")`.  Raises ConfigError for what cannot be one.
    """
    if function is None:
        return lambda function: tool(function, **options)
    DECLARED.add(python_tool(function, **options))
    return function


class FunctionTool:
    """services.tools.library.PythonTool."""

    def __init__(
        self, spec: ToolSpec, timeout_s: float, declared: MethodDeclaration, function: Callable[..., Any], source: Callable[..., Any]
    ) -> None:
        self.spec = spec
        self.timeout_s = timeout_s
        self._declared = declared
        self._function = function
        self._source = source

    async def __call__(self, ctx: Context, arguments: Mapping[str, Any]) -> Any:
        given: list[Any] = []
        for parameter in self._declared.parameters:
            value = arguments.get(parameter.name)
            given += (value or []) if parameter.variadic else [value]
        bound = self._declared.bind(given)
        try:
            return await self._function(ctx, *bound)
        except Exception as error:
            error.add_note(f"in the tool '{self.spec.name}'{_line_in(error, self._source)}")
            raise


def _line_in(error: Exception, source: Callable[..., Any]) -> str:
    """Where in the function itself it was, as its cell or file counts lines; "" where that is not known, as of one that is not in Python."""
    code = getattr(unwrap(source), "__code__", None)
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code is code]
    return f", line {lines[-1]} of its source" if lines else ""


def python_tool(function: Callable[..., Any], **options: Unpack[ToolOptions]) -> FunctionTool:
    """Raises ConfigError naming the function and what it lacks."""
    if not callable(function) or isinstance(function, type):
        raise ConfigError(f"tool: {function!r} is no function")
    name = options.get("name") or str(getattr(function, "__name__", type(function).__name__))
    try:
        check_name(name)
        bridge = exposed_functions({name: function})
    except ScriptError as error:
        raise ConfigError(f"tool: {error.message}; or tool(name='...')") from None
    except ConfigError as error:
        raise ConfigError(error.message.replace("expose:", "tool:", 1).replace("expose(", "tool(")) from None
    declared = declare(bridge).methods[name]
    spec = ToolSpec(
        name=name,
        description=options.get("description") or declared.doc,
        parameters=declared.schema,
        returns=_returns(declared),
        level=options.get("level", "read"),
        version=options.get("version", "1"),
        deprecated=options.get("deprecated", ""),
    )
    timeout_s = options.get("timeout_s", TIMEOUT_S)
    if not timeout_s > 0:
        raise ConfigError(f"tool: {name}: timeout_s must be more than 0, not {timeout_s}")
    return FunctionTool(spec, timeout_s, declared, getattr(bridge(), name), function)


def _returns(declared: MethodDeclaration) -> dict[str, Any] | None:
    """None where the annotation says nothing, or nothing that a schema could."""
    try:
        (schema,), definitions = schemas_of([declared.returns_annotation])
    except (TypeError, ValueError):
        return None
    return {**schema, **({"$defs": definitions} if definitions else {})} or None
