"""The bridge `tools`: what a model, a script or a person can call by name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Meta

from llmspell_kernel.errors import ArgumentError, LimitError, ScriptError, SpellError
from llmspell_kernel.levels import Level
from llmspell_kernel.services.tools.available import built_ins
from llmspell_kernel.services.tools.checks import Checks, refused
from llmspell_kernel.services.tools.figures import Figures
from llmspell_kernel.services.tools.files import module_of, read_source
from llmspell_kernel.services.tools.library import ToolLibrary
from llmspell_kernel.services.tools.pages import page
from llmspell_kernel.services.tools.parameters import parameters_of, returns_of
from llmspell_kernel.services.tools.registry import TIMEOUT_S, Owner, Registry, Tool, ended
from llmspell_kernel.services.tools.tool import BuiltIn, ToolSpec
from llmspell_kernel.services.tools.tool_names import check_name, is_name, unknown
from llmspell_kernel.values import Callback, Value

from ._bridge import Bridge, BridgeSession, Context, StateLife, method
from ._threads import in_thread

MAX_DEPTH = 60
"""Calls within each other, from a cell to a tool: a tool that calls tools takes three of them."""
MAX_SCRIPTS = 3
"""Scripts of models that run scripts, within each other."""
DESCRIPTION_CHARS = 8_000
MAX_TIMEOUT_S = 3_600.0
_FOR_A_SCRIPT = ("tools.call", "tools.list", "tools.describe")


class About(msgspec.Struct, kw_only=True):
    """What its callers know of a tool."""

    name: str
    description: str = ""
    parameters: Annotated[dict[str, Any] | None, Meta(description="JSON Schema of an object, or {city = 'string', days = 'integer?'}")] = (
        None
    )
    returns: Annotated[dict[str, Any] | str | None, Meta(description="JSON Schema of its result, or a type's name")] = None
    level: Annotated[Level, Meta(description="what it does outside; a policy may have the user asked by level")] = "read"
    version: str | int | float = "1"
    deprecated: Annotated[str, Meta(description="what to use instead")] = ""
    timeout_s: Annotated[float, Meta(gt=0, le=MAX_TIMEOUT_S, description="how long a call may take")] = TIMEOUT_S

    def spec(self) -> ToolSpec:
        """Raises ScriptError for a name, and ArgumentError for a schema, that cannot be one."""
        check_name(self.name)
        if len(self.description) > DESCRIPTION_CHARS:
            raise ArgumentError(f"the description of the tool '{self.name}' has more than {DESCRIPTION_CHARS:,} characters")
        try:
            parameters, returns = parameters_of(self.parameters), returns_of(self.returns)
        except ArgumentError as error:
            raise ArgumentError(f"the tool '{self.name}': {error.message}") from None
        return ToolSpec(self.name, self.description, parameters, returns, self.level, str(self.version), self.deprecated)


class Registration(About, kw_only=True):
    """A tool, and the function that it is."""

    run: Annotated[Callback, Meta(description="gets the arguments as one table, and gives the result")]


class Filter(msgspec.Struct, kw_only=True):
    """Which tools to list; what is left out does not matter."""

    text: Annotated[str, Meta(description="a part of the name or the description")] = ""
    level: Level | None = None
    source: Annotated[str, Meta(description="script, python, built-in, or the bridge that provides it")] = ""


class Granted(NamedTuple):
    """To a script of a model: the tools that there are for it, and how many such scripts it is within, itself included."""

    names: frozenset[str]
    within: int


class Tools(Bridge):
    """Tools: functions with a schema, which any script, model or person can call by name, whichever language they are written in."""

    name = "tools"

    def __init__(self, built_in: Sequence[BuiltIn] | None = None) -> None:
        self._built_in = built_in
        self._registry_made: Registry | None = None
        self._library = ToolLibrary()
        self._session: BridgeSession | None = None
        self._figures = Figures()
        self._granted: WeakKeyDictionary[StateLife, Granted] = WeakKeyDictionary()
        """By the life of the script's state: what such a script left behind may ask for as long as there is anything of that state, and a state
        that has no grant has every tool.  Nothing else ends one."""
        self._told: set[str] = set()

    async def open(self, session: BridgeSession) -> None:
        self._library, self._session = session.tools, session

    @property
    def _registry(self) -> Registry:
        if self._registry_made is None:
            languages = tuple(self._session.languages) if self._session is not None else ()
            found = built_ins(languages) if self._built_in is None else {tool.spec.name: tool for tool in self._built_in}
            self._registry_made = Registry(found, self._library, _of_built_in)
        return self._registry_made

    @method(replay="again")
    async def register(
        self,
        ctx: Context,
        tool: str | Registration,
        description: str = "",
        parameters: dict[str, Any] | None = None,
        run: Callback | None = None,
    ) -> None:
        """Make a function a tool: `register{name, description, parameters, run}`, or `register(name, description, parameters, run)`.

        `run` gets the arguments as one table, checked, with the schema's defaults filled in; what it gives is the result, and data alone.
        The table may also have `returns` (a schema that results must fit), `level`, `version`, `deprecated` and `timeout_s`. A name that
        is registered again gets the new function. The tool lives as long as the state that registered it.

        - tool: the name (small letters, digits and _), or a table with everything
        - description: what it does, for models and readers
        - parameters: the JSON Schema of an object, or by name a type or a schema, as in {city = "string", days = "integer?"}
        - run: the function

        Raises ScriptError with the code tool_name for what cannot be a name, or is the name of a built-in or Python tool, and
        ArgumentError for what is no schema.
        """
        given = tool if isinstance(tool, Registration) else _positional(tool, description, parameters, run)
        await ctx.call("tools", "keep", given.name, given.run, capability="tools.register")
        function = ctx.function(given.run)

        async def called(ctx: Context, arguments: dict[str, Any]) -> Any:
            return await function(ctx, arguments)

        await self._add(ctx, Tool(spec := given.spec(), "script", called, Checks(spec), given.timeout_s, _asking(ctx), function))

    @method(inner=True)
    async def keep(self, ctx: Context, name: str, run: Callback) -> None:
        """A function was given to be a tool.

        Kept as a call, so that what called it later can be played: a call that is made again is no part of what is kept.
        """

    @method(inner=True, replay="again")
    async def provide(self, ctx: Context, tool: About, bridge: str, method: str, leading: Sequence[Value] = ()) -> None:
        """Make a method of a bridge a tool: it is called with what is `leading`, and then the arguments as one table."""

        async def called(ctx: Context, arguments: dict[str, Any]) -> Any:
            return await ctx.call(bridge, method, *leading, arguments)

        await self._add(ctx, Tool(spec := tool.spec(), bridge, called, Checks(spec), tool.timeout_s, _asking(ctx)))

    @method(replay="again")
    async def call(self, ctx: Context, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Call a tool, and get its result.

        The arguments are checked against its schema, with defaults filled in, and the result against what it says that it returns. A
        policy may have the user asked first, by the tool's level or by its name (`tools.call.NAME`).

        Raises ScriptError with the code unknown_tool, naming the nearest one, invalid_arguments, naming each path that does not fit,
        invalid_result, or tool_changed where it was registered again while the user was asked; DeniedError; LimitError for a tool that
        takes longer than its timeout_s; and what the tool itself raises.
        """
        began = time.monotonic()
        try:
            value = await self._called(ctx, name, arguments or {})
        except BaseException as error:
            self._count(ctx, name, began, error.code if isinstance(error, SpellError) else "stopped")
            raise
        self._count(ctx, name, began)
        return value

    @method(replay="again")
    async def load(self, ctx: Context, name: str) -> str:
        """Make a file of the notebook's folder `tools` a module, which registers its tools where it is required.

        `require(tools.load("weather"))` runs `tools/weather.lua`, or the file with the ending of whoever asks; the module's name is
        `tools/weather`.

        Raises ScriptError with the code not_found where there is no such file, or tool_name for what cannot be a name.
        """
        source = await ctx.call("tools", "source", name, ctx.engine, capability="tools.load")
        assert self._session is not None  # it opens a bridge before its first call
        self._session.modules.add(module_of(name), source, ctx.engine)
        return module_of(name)

    @method(inner=True)
    async def source(self, ctx: Context, name: str, language: str) -> str:
        """The text of a file of tools."""
        session = self._session
        assert session is not None
        endings = session.languages.get(language, ())
        if not endings:
            raise ScriptError(f"files of tools are scripts, and {language} has none", code="not_found")
        text: str = await in_thread(read_source, session.folder.absolute(), lambda: session.files, name, endings)
        return text

    @method
    async def list(self, ctx: Context, filter: str | Filter | None = None) -> Sequence[dict[str, Any]]:
        """The tools there are, as `{name, description, level, version, source, deprecated}`, by name.

        - filter: a part of the name or the description, or {text, level, source}
        """
        wanted = filter if isinstance(filter, Filter) else Filter(text=filter or "")
        found = [self._registry.living(name) for name in self._names(ctx)]
        return [_line(tool) for tool in found if _is_wanted(tool, wanted)]

    @method
    async def describe(self, ctx: Context, name: str) -> dict[str, Any]:
        """All about a tool: `{name, description, parameters, returns, level, version, deprecated, source, timeout_s}`.

        Raises ScriptError with the code unknown_tool, naming the nearest one.
        """
        return _described(await self._living(ctx, name))

    @method
    async def validate(self, ctx: Context, name: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check arguments without calling the tool: `{valid, errors, value}`; `errors` are `{path, message}`, `value` has the defaults.

        Raises ScriptError with the code unknown_tool, naming the nearest one.
        """
        tool = await self._living(ctx, name)
        value, problems = await tool.checks.apart(tool.checks.arguments, arguments or {})
        return {"valid": not problems, "errors": [{"path": path, "message": message} for path, message in problems], "value": value}

    @method(replay="again")
    async def remove(self, ctx: Context, name: str) -> None:
        """Take away a tool that a script registered.

        Raises ScriptError with the code unknown_tool where there is none, or tool_name for a built-in or Python one.
        """
        await ctx.call("tools", "describe", name, capability="tools.remove")  # its answer is kept, so that it raises again what it raised
        self._registry.remove(name, _asking(ctx), again=ctx.restoring)

    @method(volatile=["mean_ms", "longest_ms"])
    async def stats(self, ctx: Context, name: str = "") -> Any:
        """What calls of tools came to in this session: `{name, calls, failures, last_error, mean_ms, longest_ms}`.

        `last_error` is the code of the last failure. Calls that only made a lost state again do not count.
        - name: of one tool; without it, a list with all that were called

        Raises ScriptError with the code unknown_tool, naming the nearest one.
        """
        if not name:
            return [self._figures.of(known) for known in self._figures.names()]
        if name not in self._figures.names():
            await self._living(ctx, name)
        return self._figures.of(name)

    @method
    async def docs(self, ctx: Context, name: str = "") -> str:
        """What tools do and take, as Markdown.

        - name: of one tool; without it, all of them

        Raises ScriptError with the code unknown_tool, naming the nearest one.
        """
        names = [name] if name else self._names(ctx)
        return page([await self._living(ctx, known) for known in names])

    @method(inner=True)
    async def permit(self, ctx: Context, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """May and can the tool be called so?  Whose it is, and its arguments with their defaults.

        What the user and the schema say is kept with the call: when it is made again, nobody is asked again.
        """
        tool = await self._living(ctx, name)
        value, problems = await tool.checks.apart(tool.checks.arguments, arguments)
        if problems:
            raise refused(name, problems)
        return {"source": tool.source, "owner": None if tool.owner is None else [*tool.owner], "arguments": value}

    @method(inner=True)
    async def run_python(self, ctx: Context, name: str, arguments: dict[str, Any]) -> Any:
        """Calls a Python function that is a tool."""
        function = self._library.get(name)
        if function is None:
            raise unknown(name, self._library.names())
        return await function(ctx, arguments)

    @method(inner=True, replay="again")
    async def run_script(self, ctx: Context, language: str, code: str, names: Sequence[str]) -> dict[str, Any]:
        """Runs a script of a model in a state of its own, which has the tools named and nothing else."""
        asking = self._granted.get(ctx.life)
        within = 0 if asking is None else asking.within
        if within >= MAX_SCRIPTS:
            raise LimitError(
                f"{MAX_SCRIPTS} scripts of run_script are within each other already",
                limit="nested_scripts",
                value=MAX_SCRIPTS,
                used=within + 1,
            )
        for name in names:
            await ctx.call("tools", "describe", name, capability=_rule("run_script"))  # granted only what there is for whoever asks
        async with ctx.fresh_state(language, allow=_FOR_A_SCRIPT) as state:
            self._granted[state.life] = Granted(frozenset(names), within + 1)
            values, printed, error = await state.run(code)
        return {"values": values, "printed": printed, "error": None if error is None else {"code": error.code, "message": error.message}}

    async def _add(self, ctx: Context, tool: Tool) -> None:
        def checked() -> int:
            tool.checks.check_schemas()
            return tool.counted()

        self._registry.add(tool, await asyncio.to_thread(checked), again=ctx.restoring)

    async def _called(self, ctx: Context, name: str, arguments: dict[str, Any]) -> Any:
        if ctx.depth > MAX_DEPTH:
            raise LimitError(
                f"the tool '{name[:80]}' is called within {ctx.depth} other calls; tools call each other without end",
                limit="tool_depth",
                value=MAX_DEPTH,
                used=ctx.depth,
            )
        known = self._registry.find(name, _asking(ctx) if ctx.restoring else None) if self._is_there(ctx, name) else None
        level = known.spec.level if known is not None and not await _is_refused(known, arguments) else "read"
        permit = await ctx.call("tools", "permit", name, arguments, level=level, capability=_rule(name), ask=ctx.ask)
        if permit["source"] == "python":
            python = self._registry.find(name)
            if python is None:  # a replay, which has the answer and needs no function
                return await _run_python(ctx, name, permit["arguments"])
            tool = python
        else:
            tool = self._permitted(name, permit["owner"])
        if not ctx.restoring and not _is_the_same(known, tool):
            raise ScriptError(
                f"the tool '{name}' was registered again while its call was being allowed, and what was allowed is not what would be called;"
                " call it again",
                code="tool_changed",
            )
        self._tell_deprecated(ctx, tool)
        value = await _in_time(tool, ctx, permit["arguments"])
        return await tool.checks.apart(tool.checks.result, value)

    def _permitted(self, name: str, owner: Sequence[str] | None) -> Tool:
        tool = self._registry.find(name) if owner is None else self._registry.registered(Owner(*owner), name)
        if tool is None:
            raise unknown(name, self._registry.names())
        return tool

    async def _living(self, ctx: Context, name: str) -> Tool:
        """The tool, its state made again where it was lost.  Raises ScriptError (unknown_tool)."""
        if not self._is_there(ctx, name):
            raise unknown(name, self._names(ctx))
        tool = self._registry.living(name)
        if tool.function is not None:
            try:
                await tool.function.ready()
            except ScriptError as error:
                message = f"{ended(tool).message} (it could not be restored: {error.message})"
                raise ScriptError(message, code="unknown_tool") from error
            tool = self._registry.living(name)  # a state that is restored registers its tools anew
        return tool

    def _is_there(self, ctx: Context, name: str) -> bool:
        """Is it, as far as its existence goes, one that whoever asks may know of?"""
        granted = self._granted.get(ctx.life)
        return granted is None or name in granted.names

    def _names(self, ctx: Context) -> Sequence[str]:
        return [name for name in self._registry.names() if self._is_there(ctx, name)]

    def _tell_deprecated(self, ctx: Context, tool: Tool) -> None:
        name = tool.spec.name
        if tool.spec.deprecated and name not in self._told:
            self._told.add(name)
            ctx.write("stderr", f"[the tool '{name}' is deprecated: {tool.spec.deprecated}]\n")

    def _count(self, ctx: Context, name: str, began: float, error: str = "") -> None:
        if not ctx.restoring and self._registry.find(name) is not None:  # whatever else is called, there is no end of names
            self._figures.count(name, time.monotonic() - began, error)


def _positional(name: str, description: str, parameters: dict[str, Any] | None, run: Callback | None) -> Registration:
    if run is None:
        raise ArgumentError("tools.register: argument 4 (run) is missing; it must be the tool's function")
    return Registration(name=name, description=description, parameters=parameters, run=run)


def _rule(name: str) -> str:
    """What policies know the calls of a tool by; "" for what is no name of one."""
    return f"tools.call.{name}" if is_name(name) else ""


def _asking(ctx: Context) -> Owner:
    return Owner(ctx.engine, ctx.state)


def _of_built_in(tool: BuiltIn) -> Tool:
    async def called(ctx: Context, arguments: dict[str, Any]) -> Any:
        async def calls(bridge: str, method: str, *args: Value) -> Any:
            # a tool that is allowed is so with what it asks here; what it asks of others is theirs to allow
            return await ctx.call(bridge, method, *args, capability=_rule(tool.spec.name) if bridge == "tools" else "")

        return await tool.run(calls, arguments)

    return Tool(tool.spec, "built-in", called, Checks(tool.spec))


def _is_the_same(allowed: Tool | None, tool: Tool) -> bool:
    """Is what is to be called what the user and the policy were asked about?  A state that was restored meanwhile has registered its tools anew."""
    if allowed is tool or allowed is None:
        return allowed is tool
    is_restored = allowed.function is not None and not allowed.is_alive
    return is_restored and allowed.owner == tool.owner and allowed.spec == tool.spec


async def _is_refused(tool: Tool, arguments: Mapping[str, Any]) -> bool:
    """Is it certain that the call is not made, so that the user need not be asked at its level?

    A check that fails says nothing: it has only so much time, of which others may leave it less now than when the call is permitted.
    """
    if tool.spec.level == "read":
        return False
    try:
        return bool((await tool.checks.apart(tool.checks.arguments, arguments)).problems)
    except SpellError:
        return False


async def _run_python(ctx: Context, name: str, arguments: dict[str, Any]) -> Any:
    return await ctx.call("tools", "run_python", name, arguments, capability=_rule(name))


async def _in_time(tool: Tool, ctx: Context, arguments: dict[str, Any]) -> Any:
    try:
        async with asyncio.timeout(tool.timeout_s) as deadline:
            if tool.source == "python":
                return await _run_python(ctx, tool.spec.name, arguments)
            return await tool.run(ctx, arguments)
    except TimeoutError:
        if not deadline.expired():
            raise
        raise LimitError(
            f"the tool '{tool.spec.name}' took longer than its {tool.timeout_s:g} s; register it with a larger timeout_s if it may",
            limit="tool_seconds",
            value=tool.timeout_s,
            used=tool.timeout_s,
        ) from None


def _line(tool: Tool) -> dict[str, Any]:
    spec = tool.spec
    return {
        "name": spec.name,
        "description": spec.description,
        "level": spec.level,
        "version": spec.version,
        "source": tool.source,
        "deprecated": spec.deprecated,
    }


def _described(tool: Tool) -> dict[str, Any]:
    return {**_line(tool), **tool.spec.table(), "timeout_s": tool.timeout_s}


def _is_wanted(tool: Tool, wanted: Filter) -> bool:
    text = wanted.text.lower()
    return (
        (not text or text in tool.spec.name or text in tool.spec.description.lower())
        and wanted.level in (None, tool.spec.level)
        and wanted.source in ("", tool.source)
    )
