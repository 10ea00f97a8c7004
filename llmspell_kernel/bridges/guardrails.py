"""The bridge `guardrails`: what goes to models and tools and what comes from them is looked at, and stopped or changed."""

from __future__ import annotations

from functools import partial
from typing import Any

from llmspell_kernel.errors import LimitError, ScriptError, SpellError, nearest
from llmspell_kernel.services.guardrails.views import View
from llmspell_kernel.values import Callback

from ._bridge import Bridge, BridgeSession, Context, Interceptors, method
from ._guardrail_specs import GuardrailSpec, checked, described
from ._guards import Guard
from ._threads import in_thread

MOST = 50


class Guardrails(Bridge):
    """Looks at what goes to models and tools and what comes from them; what it finds is stopped, taken out, told, or asked for again."""

    name = "guardrails"

    def __init__(self) -> None:
        self._interceptors: Interceptors | None = None
        self._guards: dict[str, Guard] = {}

    async def open(self, session: BridgeSession) -> None:
        self._interceptors = session.interceptors

    @method(replay="again")
    async def add(self, ctx: Context, guardrail: GuardrailSpec) -> str:
        """Put a guardrail around the calls of the session, from every state; its name.

        A call that it stops fails with the code `guardrail_blocked`, one that it could not look at with `guardrail_failed`.  An answer that
        an "output" guardrail looks at is shown and given only then: a stream comes as a whole.

        Raises ArgumentError for an action that the check does not allow: only places in a text can be redacted, and only models asked again.
        """
        assert self._interceptors is not None  # the session opens a bridge before its first call
        check = await in_thread(checked, guardrail)
        function = None
        if guardrail.check.fn is not None:
            await ctx.call("guardrails", "keep", guardrail.check.fn)
            function = ctx.function(guardrail.check.fn)
        # from here on nothing is awaited: another one of the name that comes meanwhile would stay in force, and nobody could take it away
        old = self._guards.get(guardrail.name)
        if old is not None and ctx.restoring and old.owner != (ctx.engine, ctx.state):
            return guardrail.name  # another state has replaced it since
        if old is None and len(self._guards) >= MOST:
            raise LimitError(f"there are {MOST} guardrails; remove some first", limit="guardrails", value=MOST, used=MOST + 1)
        guard = Guard(guardrail, check, function, (ctx.engine, ctx.state))
        self._put_in_place(ctx, guard, old)
        self._guards[guard.name] = guard
        return guard.name

    @method
    async def list(self, ctx: Context) -> list[dict[str, Any]]:
        """The guardrails there are: `{name, on, action, checks, models, tools}` of each."""
        return [described(guard.spec) for guard in self._guards.values()]

    @method(replay="again")
    async def remove(self, ctx: Context, name: str) -> bool:
        """Take a guardrail away.  Was it there?"""
        there = await ctx.call("guardrails", "is_there", name)
        guard = self._guards.get(name)
        if guard is not None and (not ctx.restoring or guard.owner == (ctx.engine, ctx.state)):
            self._end(ctx, guard)
            del self._guards[name]
        return bool(there)

    @method(replay="again")
    async def check(self, ctx: Context, name: str, text: str) -> dict[str, Any]:
        """What a guardrail finds in a text: `{ok, found, text}`; nothing is stopped or counted.

        `found` is how often each thing was found, and each problem once; `text` is the text without what can be taken out.  Raises
        ScriptError with the code `unknown_guardrail`, and what keeps it from looking.
        """
        guard = self._guards.get(name)
        if guard is None:
            raise ScriptError(f"there is no guardrail '{name:.80}'{nearest(name[:80], list(self._guards))}", code="unknown_guardrail")
        await guard.ready()
        judged = await guard.judged(ctx, "guardrails.check", partial(View, text))
        return {"ok": judged.finding.is_clean, "found": judged.finding.kinds, "text": "".join(judged.texts)}

    @method
    async def stats(self, ctx: Context) -> dict[str, Any]:
        """What each guardrail has done in this session, by name: `{checked, blocked, redacted, warned, retried}`, counts of calls."""
        return {name: dict(guard.stats) for name, guard in self._guards.items()}

    @method(inner=True)
    async def is_there(self, ctx: Context, name: str) -> bool:
        """Is there such a guardrail?"""
        return name in self._guards

    @method(inner=True)
    async def keep(self, ctx: Context, fn: Callback) -> None:
        """A function was given to look at texts; kept as a call, so that calls which run it can be played."""

    def _put_in_place(self, ctx: Context, guard: Guard, old: Guard | None) -> None:
        """In that of the old one, which stays where there is no room for the new.

        What the old one leaves is room enough for as many: only what comes on top of that can be too much, so it comes first, and a full
        session whose states are restored has its guardrails again.
        """
        assert self._interceptors is not None
        wanted = guard.entries()
        room = 0 if old is None else len(old.ends)
        try:
            for entry in wanted[room:]:
                guard.ends.append(self._interceptors.add(ctx, *entry))
        except SpellError:
            self._end(ctx, guard)
            raise
        if old is not None:
            self._end(ctx, old)
        for entry in wanted[:room]:
            guard.ends.append(self._interceptors.add(ctx, *entry))

    @staticmethod
    def _end(ctx: Context, guard: Guard) -> None:
        for end in guard.ends:
            end(ctx)
