"""The bridge `hooks`: functions of scripts that see calls before they are made and after they are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from llmspell_kernel.errors import ArgumentError, Interrupted, ReplayError, ScriptError, SpellError, StoppedError, nearest
from llmspell_kernel.values import Callback, ResourceRef, Value

from ._bridge import Bridge, BridgeSession, Context, InterceptedCall, Interceptor, Interceptors, ScriptFunction, method
from ._name_patterns import MOST_CHARS, fits

CANCEL = "cancel_call"
MOST_REASON = 1_000
"""Characters of a reason that are told."""
NAMES_TOOLS = ("tools.call", "agent.tool")
KEYS_BEFORE = ("arguments", "value", "context", CANCEL)
KEYS_AFTER = ("value", CANCEL)
Pattern = Annotated[str, Meta(description="calls, as in `llm.*` or `tools.call`; `tools.call:web_*` are those of tools by name")]


class HookOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a hook is run.

    - on_error: "fail" has the call fail where the hook does; "ignore" tells of it and goes on
    """

    on_error: Literal["fail", "ignore"] = "fail"


class Hook(Interceptor):
    """One hook: a function for each side of a call."""

    bridge = "hooks"

    def __init__(
        self, kind: str, pattern: str, options: HookOptions, before: ScriptFunction | None = None, after: ScriptFunction | None = None
    ) -> None:
        self.kind = kind
        self.pattern = pattern
        self.label, _, self.tool = pattern.partition(":")
        self._options = options
        self._before, self._after = before, after
        self.has_before, self.has_after = before is not None, after is not None
        self.remove: Callable[[Context], None] = _nothing

    @property
    def function(self) -> ScriptFunction:
        found = self._before or self._after
        assert found is not None  # hooks.around asks for one of them
        return found

    @property
    def described(self) -> dict[str, Any]:
        state = {"engine": self.function.engine, "state": self.function.state}
        return {"id": self.name, "kind": self.kind, "pattern": self.pattern, **state, "on_error": self._options.on_error}

    @property
    def is_alive(self) -> bool:
        return self.function.is_alive

    async def ready(self) -> None:
        await self.function.ready()

    def sees(self, call: InterceptedCall) -> bool:
        return not self.tool or (call.label in NAMES_TOOLS and fits(_tool(call), (self.tool,)))

    async def before(self, ctx: Context, call: InterceptedCall) -> Value:
        assert self._before is not None
        given = await self._ask(ctx, call, KEYS_BEFORE, self._before, _told(call))
        if "context" in given:
            call.notes[self.name] = given["context"]
        if "arguments" in given:
            call.arguments = given["arguments"]
        if "value" in given:
            call.answer(given["value"])
        return given or None

    async def after(self, ctx: Context, call: InterceptedCall) -> Value:
        assert self._after is not None
        told = _told(call) | ({"context": call.notes[self.name]} if self.name in call.notes else {})
        given = await self._ask(ctx, call, KEYS_AFTER, self._after, told, shown(call.value))
        if "value" in given:
            call.value = given["value"]
        return given or None

    async def _ask(
        self, ctx: Context, call: InterceptedCall, keys: tuple[str, ...], function: ScriptFunction, *given: Value
    ) -> dict[str, Any]:
        """What the function gave, checked; nothing is an empty table.  Raises what stops the call."""
        try:
            answer = await function(ctx, *given)
            found = self._checked(call, answer, keys)
        except (Interrupted, ReplayError):
            raise
        except SpellError as error:
            wrong = error if error.code == "hook_failed" else self._wrong(call, f"failed: {error.message}")
            if self._options.on_error == "fail":
                raise wrong from error
            ctx.log("warn", f"{wrong.message}; the call goes on", {"hook": self.name, "call": call.label})
            return {}
        if CANCEL in found:
            raise StoppedError(
                f"{call.label} was cancelled by the hook {self.name} ({self.kind} {self.pattern}): {_reason(found[CANCEL])}",
                name="HookError",
                code="cancelled_by_hook",
            )
        return found

    def _checked(self, call: InterceptedCall, answer: Value, keys: tuple[str, ...]) -> dict[str, Any]:
        if answer is None or answer == []:
            return {}
        if not isinstance(answer, dict):
            raise self._wrong(
                call, f"gave {type(answer).__name__}; give nothing, a table with {' or '.join(keys[:-1])}, or hooks.cancel(...)"
            )
        for key in answer:
            if key not in keys:
                raise self._wrong(call, f"gave a table with the key '{key:.40}'{nearest(key[:40], keys[:-1])}")
        if place := foreign(answer):
            raise self._wrong(call, f"gave a {place}, which belongs to its state; give data")
        if not isinstance(answer.get("arguments", []), list):
            raise self._wrong(call, "gave arguments that are no list; give all of them, in their order")
        if "value" in answer and isinstance(call.value, ResourceRef):
            raise self._wrong(call, f"gave a value in place of a {call.value.type}, which only its methods can be asked")
        return answer

    def _wrong(self, call: InterceptedCall, why: str) -> ScriptError:
        return ScriptError(
            f"the hook {self.name} ({self.kind} {self.pattern}), run for {call.label}, {why}", name="HookError", code="hook_failed"
        )


class Hooks(Bridge):
    """Functions that see calls of models, tools and agents before they are made and after they are answered."""

    name = "hooks"

    def __init__(self) -> None:
        self._interceptors: Interceptors | None = None
        self._hooks: dict[str, Hook] = {}
        self._first: dict[tuple[str, str], tuple[ScriptFunction, int]] = {}
        """By state: its first hook's function, and how many hooks it has had."""

    async def open(self, session: BridgeSession) -> None:
        self._interceptors = session.interceptors

    @method(replay="again")
    async def before(self, ctx: Context, pattern: Pattern, fn: Callback, options: HookOptions | None = None) -> str:
        """Run a function before each call that a pattern names; the hook's id.

        It gets `{label, bridge, method, arguments}`, with `tool` where one is called, and returns nothing to go on; a table
        `{arguments = {...}}` with all arguments in their order to change them; `{value = ...}` to answer the call, which is then not made;
        `hooks.cancel(reason)` to stop it (code `cancelled_by_hook`).
        - pattern: has as many dots as the call's label, so `llm.*` are functions of `llm` and no methods of its streams
        - fn: a function of data; policy decides on the call as it leaves it, and what it asks itself no hook sees
        """
        return await self._add(ctx, Hook("before", _checked(pattern), options or HookOptions(), before=ctx.function(fn)), fn)

    @method(replay="again")
    async def after(self, ctx: Context, pattern: Pattern, fn: Callback, options: HookOptions | None = None) -> str:
        """Run a function after each call that a pattern names and that did not fail; the hook's id.

        It gets what a hook before it gets, and the call's value; it returns nothing to go on, `{value = ...}` to change what the script
        gets, or `hooks.cancel(reason)`.
        - fn: a function of data; of a stream, its value is the text `<llm.stream>`
        """
        return await self._add(ctx, Hook("after", _checked(pattern), options or HookOptions(), after=ctx.function(fn)), fn)

    @method(replay="again")
    async def around(
        self, ctx: Context, pattern: Pattern, before: Callback, after: Callback | None = None, options: HookOptions | None = None
    ) -> str:
        """Run a function before and one after each call that a pattern names, which know of each other; the hook's id.

        Where `before` returns a table with a `context`, `after` finds it in the call it gets; both are else as those of `hooks.before` and
        `hooks.after`.
        - after: by default nothing, as with `hooks.before`
        """
        second = None if after is None else ctx.function(after)
        given = [before] if after is None else [before, after]
        return await self._add(ctx, Hook("around", _checked(pattern), options or HookOptions(), ctx.function(before), second), *given)

    @method(replay="call")
    async def cancel(self, ctx: Context, reason: str = "") -> dict[str, str]:
        """What a hook returns to stop a call.

        - reason: told to whoever made the call, at most 1,000 characters
        """
        return {CANCEL: reason[:MOST_REASON]}

    @method
    async def list(self, ctx: Context) -> list[dict[str, Any]]:
        """The hooks there are, in the order in which they run: `{id, kind, pattern, engine, state, on_error}` of each."""
        return [hook.described for hook in self._hooks.values() if hook.is_alive]

    @method(replay="again")
    async def remove(self, ctx: Context, id: str) -> bool:
        """Take a hook away.  Was it there?"""
        there = await ctx.call("hooks", "is_there", id)
        hook = self._hooks.get(id)
        if hook is not None and (not ctx.restoring or (hook.function.engine, hook.function.state) == (ctx.engine, ctx.state)):
            del self._hooks[id]
            hook.remove(ctx)
        return bool(there)

    @method(inner=True)
    async def is_there(self, ctx: Context, id: str) -> bool:
        """Is there such a hook?"""
        return id in self._hooks

    @method(inner=True)
    async def keep(self, ctx: Context, *functions: Callback) -> None:
        """Functions were given to be hooks.

        Kept as a call, so that calls which run them can be played: a call that is made again is no part of what is kept.
        """

    async def _add(self, ctx: Context, hook: Hook, *given: Callback) -> str:
        assert self._interceptors is not None  # the session opens a bridge before its first call
        await ctx.call("hooks", "keep", *given)
        function = hook.function
        key = (function.engine, function.state)
        first, count = self._first.get(key, (function, 0))
        if not first.is_alive:  # the state is a new one, or restored and gives its hooks anew
            for name in [name for name, old in self._hooks.items() if (old.function.engine, old.function.state) == key]:
                self._hooks.pop(name).remove(ctx)
            first, count = function, 0
        hook.name = f"{function.engine}:{function.state}:{count + 1}"
        hook.remove = self._interceptors.add(ctx, hook.label, hook)
        self._first = {of: known for of, known in self._first.items() if known[0].is_alive} | {key: (first, count + 1)}
        self._hooks = {name: old for name, old in self._hooks.items() if old.is_alive} | {hook.name: hook}
        return hook.name


def foreign(value: Value) -> str:
    """What in a value lives in one state alone; "" where nothing does."""
    match value:
        case Callback():
            return "function"
        case ResourceRef():
            return value.type
        case list() | tuple():
            return next((found for item in value if (found := foreign(item))), "")
        case dict():
            return next((found for item in value.values() if (found := foreign(item))), "")
    return ""


def shown(value: Value) -> Value:
    """A value as a function of any state may see it."""
    match value:
        case Callback():
            return "<function>"
        case ResourceRef():
            return f"<{value.type}>"
        case list() | tuple():
            return [shown(item) for item in value]
        case dict():
            return {key: shown(item) for key, item in value.items()}
    return value


def _told(call: InterceptedCall) -> dict[str, Any]:
    told: dict[str, Any] = {"label": call.label, "bridge": call.bridge, "method": call.method, "arguments": shown(call.arguments)}
    return {**told, "tool": _tool(call)} if call.label in NAMES_TOOLS else told


def _tool(call: InterceptedCall) -> str:
    name = call.argument("name")
    return name if isinstance(name, str) else ""


def _reason(reason: Value) -> str:
    return reason[:MOST_REASON] if isinstance(reason, str) and reason else "it gave no reason"


def _checked(pattern: str) -> str:
    label, colon, tool = pattern.partition(":")
    if not label or len(pattern) > MOST_CHARS or (colon and not tool):
        raise ArgumentError("a pattern names calls, as in 'llm.*', 'tools.call' or 'tools.call:web_*', in at most 200 letters")
    if colon and label not in NAMES_TOOLS:
        raise ArgumentError(f"only tools.call and agent.tool are told apart by a name behind a colon, not {label:.60}")
    if label.partition(".")[0] in ("hooks", "guardrails"):
        raise ArgumentError("no hook sees calls of hooks and guardrails")
    return pattern


def _nothing(_: Context) -> None:
    pass
