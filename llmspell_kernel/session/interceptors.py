"""Interceptors of a session: what sees calls before policy decides on them, and again when they are answered.

Rules
- A call that policy denies as it is asked is seen by nobody, so that it comes to nothing at all; what interceptors leave of one is decided anew.
- Without one, a call pays for a look at an empty list.
- What is made, asked for, recorded and looked for on a cassette is the call as interceptors left it; what they make of its answer is for the
  script alone, and computed again in a replay.
- No interceptor sees what another one asks, nor what the functions ask that it calls.
- A function of the script and a thing that the host keeps are bound to their state: no interceptor puts one where it was not.
- A state that is restored meets what it met: its own interceptors come as its cells give them again, those of others are played.  One that
  was not asked then has nothing to be played, and stands aside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from ..bridges._bridge import Context, InterceptedCall, Interceptor
from ..bridges._capabilities import UNKNOWN_YET, capabilities
from ..bridges._declaration import own_method
from ..configuration.unmet_patterns import nearest_calls
from ..errors import LimitError, ReplayError, ScriptError, ValueCrossingError
from ..host_types._crossing import to_plain, written
from ..protocol.steps import Effect
from ..values import Value
from .foreign import refuse_foreign
from .value_lists import write_values

if TYPE_CHECKING:
    from .cell_run import CellRun
    from .effects import EffectContext
    from .script_state import ScriptState

MOST = 200
"""As each sees every call that its pattern names."""
MOST_ENDED = 100
"""Are remembered for states that are restored; those that met older ones go through their cells without them."""
NEVER = ("hooks", "guardrails")
"""Calls that no interceptor sees, or none could be taken away again."""
SEEN = ("agent.tool", "agent.step")
"""Of the methods that bridges alone can ask, those that interceptors see.  The others hold what policy rests on: consent, grants, the texts of
tools."""
FIXED = {"agent.tool": "run"}
"""Arguments that say whose call it is: with another one, it would be none that its user was asked about."""
WATCHED = ("agent.step",)
"""Calls that reserve of a budget: they can be seen and stopped, and neither changed nor answered."""


class Entry(msgspec.Struct):
    pattern: str
    interceptor: Interceptor
    place: int
    """In the order in which they came."""
    script: ScriptState
    number: int
    """Of its state when it came."""
    since: int
    """The cell that it came with."""
    until: int | None = None
    """The cell that it went with; None while it is there."""

    def is_in_force(self, run: CellRun) -> bool:
        """Does it see the calls of that cell?"""
        if run.playback is None:
            return self.until is None
        if run.script is self.script:
            return self.until is None and run.script.number == self.number
        return self.since <= run.cell and (self.until is None or run.cell <= self.until)

    def is_of(self, run: CellRun) -> bool:
        """Did it come with this very state, which may be one that is just being made and that nobody can find yet?"""
        return self.script is run.script and self.number == run.script.number

    def names(self, label: str) -> bool:
        return _names(self.pattern, label)


class Interceptors:
    """bridges._bridge.Interceptors."""

    def __init__(self) -> None:
        self.known: list[Entry] = []
        self._last_place = 0

    def add(self, ctx: Context, pattern: str, interceptor: Interceptor) -> Callable[[Context], None]:
        run = cast("EffectContext", ctx).run
        if run.playback is None:  # a cell that is gone through again is long past, and ends nothing of others
            self._end_gone(run, [entry for entry in self.known if not entry.is_of(run)])
        if sum(entry.until is None for entry in self.known) >= MOST:
            raise LimitError(f"there are {MOST} hooks and guardrails; remove some first", limit="interceptors", value=MOST, used=MOST + 1)
        place = self._place_again(run, interceptor)
        entry = Entry(pattern, interceptor, place, run.script, run.script.number, _cell_of(run))
        self.known.append(entry)
        if run.playback is None and (why := _fits_nothing(run, pattern)):  # it may be for a bridge that comes later
            run.tell_once(f"{interceptor.bridge}: {why}")
        return lambda ctx: self._end(entry, _cell_of(cast("EffectContext", ctx).run))

    def _place_again(self, run: CellRun, interceptor: Interceptor) -> int:
        """That of the same one from before its state was restored, else a new one."""
        for entry in self.known:
            if run.playback is not None and entry.script is run.script and entry.interceptor.name == interceptor.name:
                return entry.place
        self._last_place += 1
        return self._last_place

    def _end(self, entry: Entry, cell: int) -> None:
        if entry.until is None:
            entry.until = cell
            ended = [entry for entry in self.known if entry.until is not None]
            for old in ended[: max(0, len(ended) - MOST_ENDED)]:
                self.known.remove(old)

    async def of(self, run: CellRun, call: InterceptedCall) -> list[Entry]:
        """Those that see a call, in order.  Raises ScriptError where the state of one cannot be restored."""
        found = self._matching(run, call)
        if run.playback is None:
            for entry in found:
                await entry.interceptor.ready()
            self._end_gone(run, found)
            found = self._matching(run, call)
        return found

    def _end_gone(self, run: CellRun, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.until is None and not entry.interceptor.is_alive:
                self._end(entry, _cell_of(run))
                run.tell_once(f"{entry.interceptor.bridge}: {entry.interceptor.name} is gone with the state that gave its function")

    def _matching(self, run: CellRun, call: InterceptedCall) -> list[Entry]:
        found = [entry for entry in self.known if entry.is_in_force(run) and entry.names(call.label)]
        return sorted(found, key=lambda entry: (entry.interceptor.before_rank, entry.place))


def _names(pattern: str, label: str) -> bool:
    return pattern == label or (pattern.count(".") == label.count(".") and fnmatchcase(label, pattern))


def _fits_nothing(run: CellRun, pattern: str) -> str:
    """What is wrong with a pattern, in words; "" where it names a call, or what a notebook may add."""
    calls = capabilities(run.bridges.catalogue())
    calls.setdefault("agent", []).extend(SEEN)
    if pattern.startswith(UNKNOWN_YET) or any(_names(pattern, label) for of_bridge in calls.values() for label in of_bridge):
        return ""
    hint = nearest_calls(pattern, calls) if "." in pattern else "; it names bridge and method, as 'llm.*' does"
    return f"'{pattern}' fits no call of an installed bridge{hint}"


class Interception:
    """One call that interceptors have seen: what is to be made, and what they make of its answer."""

    def __init__(self, context: EffectContext, effect: Effect, given: list[Value], call: InterceptedCall, entries: list[Entry]) -> None:
        self._context = context
        self._call = call
        self._entries = [entry for entry in entries if entry.interceptor.has_after]
        self.arguments = _own(call.arguments, given)
        changed = len(self.arguments) != len(given) or any(now is not was for now, was in zip(self.arguments, given, strict=True))
        self.effect = msgspec.structs.replace(effect, args=msgspec.Raw(write_values(self.arguments))) if changed else effect

    @property
    def is_answered(self) -> bool:
        return self._call.answered

    async def answer(self) -> Any:
        return self._call.value

    async def after(self, value: Value, text: bytes) -> tuple[Value, bytes]:
        """The script's value and its written form.  Raises what an interceptor refuses it with."""
        call = self._call
        call.value = value
        for entry in sorted(self._entries, key=lambda entry: entry.interceptor.after_rank):
            await _run(self._context, call, entry, "after")
        if call.value is not value:
            value = to_plain(call.value, "the changed answer")
            refuse_foreign(value, "the changed answer")
            value, text = written(self._context.run.redactor.redact_value(value))
        self._show(value)
        return value, text

    def _show(self, value: Value) -> None:
        """What was held back, as it is now."""
        context, call = self._context, self._call
        silent, context.is_silent = context.is_silent, context.within is not None and context.within.is_silent
        if silent and not context.is_silent and (context.held_back or call.text):
            shown = call.text or (value.get("text") if isinstance(value, dict) else value)
            if isinstance(shown, str) and shown:
                context.say(context.run.redactor.redact(shown))


async def intercepting(run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value]) -> Interception | None:
    """Shows a call to those who see it before it is made; None where nobody does.  Raises what refuses it."""
    call = InterceptedCall(effect.bridge, effect.method, list(arguments), _parameters(run, effect))
    if effect.bridge in NEVER or (_is_inner(run, effect) and call.label not in SEEN):
        return None
    entries = await run.session.interceptors.of(run, call)
    if not entries:
        return None
    met = [entry for entry in entries if await _meets(context, call, entry)]
    if call.label in WATCHED and (call.answered or call.arguments != arguments):
        raise ScriptError(f"{call.label} can be seen and stopped, and neither changed nor answered", code="interceptor")
    if not call.answered and call.label in FIXED and call.argument(FIXED[call.label]) != _argument(call, arguments):
        raise ScriptError(f"'{FIXED[call.label]}' of {call.label} cannot be changed", code="interceptor")
    context.is_silent = context.is_silent or any(entry.interceptor.holds_text for entry in met)
    return Interception(context, effect, arguments, call, met)


def _argument(call: InterceptedCall, given: list[Value]) -> Value:
    """The fixed one, as it was given."""
    return InterceptedCall(call.bridge, call.method, given, call.parameters).argument(FIXED[call.label])


def _is_inner(run: CellRun, effect: Effect) -> bool:
    declared = run.declarations.get(effect.bridge)
    return effect.target is None and declared is not None and effect.method in declared.inner


def _parameters(run: CellRun, effect: Effect) -> Sequence[str]:
    """The names of the method's arguments; none of one that nobody declared, which is refused later."""
    method = run.declarations.method(effect.bridge, effect.method, of_resource=effect.target is not None)
    return () if method is None else [parameter.name for parameter in method.parameters]


async def _meets(context: EffectContext, call: InterceptedCall, entry: Entry) -> bool:
    """Shows it the call as it is by now.  False where it has no more to do with it: also where it met it not when it was first made."""
    interceptor = entry.interceptor
    if not interceptor.sees(call):
        return False
    if call.answered or not interceptor.has_before:
        return True
    return await _run(context, call, entry, "before") and interceptor not in call.left


async def _run(context: EffectContext, call: InterceptedCall, entry: Entry, when: Literal["before", "after"]) -> bool:
    """False where it met the call not when that was first made."""
    interceptor, run = entry.interceptor, context.run
    work = interceptor.before if when == "before" else interceptor.after
    effect = Effect(0, interceptor.bridge, when)
    told: list[Value] = [interceptor.name, call.label]
    missing = len(run.missing)
    try:
        await context.intercept(effect, told, lambda within: work(within, call), beside=when == "before", silent=interceptor.holds_text)
    except ReplayError:
        if run.playback is None or run.script is entry.script:
            raise
        del run.missing[missing:]
        return False
    return True


def _cell_of(run: CellRun) -> int:
    """What Python asks belongs to no cell: it comes before the next one."""
    return run.cell or run.session.last_cell + 1


def _own(changed: list[Value], given: list[Value]) -> list[Value]:
    """The arguments with what is bound to their state where it was.  Raises ValueCrossingError for one that is somewhere else."""
    changed = [
        to_plain(value, f"argument {place}") if place > len(given) or value is not given[place - 1] else value
        for place, value in enumerate(changed, 1)
    ]
    for place, value in enumerate(changed):
        if place < len(given) and _is_bound(given[place]):
            changed[place] = given[place]
        elif place >= len(given) or value is not given[place]:
            refuse_foreign(value, f"the changed argument {place + 1}")
    for place in range(len(changed), len(given)):
        if _is_bound(given[place]):
            changed += given[len(changed) : place + 1]
    return changed


def _is_bound(value: Value) -> bool:
    """Does it hold what lives in one state alone?"""
    try:
        refuse_foreign(value, "")
    except ValueCrossingError:
        return True
    return False


INTERCEPTION = own_method("interceptors.run", "What an interceptor did to a call.", "again")
