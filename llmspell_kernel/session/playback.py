"""Answers of calls from entries, in place of the bridges.

Rules
- A thing that the host kept (a stream) is played by its own calls; a script's functions are called again with what they were called with.
- A call that was given up is never answered, so that the same one wins a race; one that the script saw overtaken waits for the other.
- A call that there is no entry for is an error that names the nearest one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from ..bridges._bridge import Resource
from ..bridges._declaration import ResourceDeclaration
from ..errors import ReplayError, ScriptError
from ..journal.canonical import canonical_arguments
from ..journal.cassette import Entry, Used
from ..journal.tape import Tape
from ..protocol.steps import Effect, Fault
from ..values import Callback, Value, loads
from .faults import error_of
from .transcript import FUNCTION, THING, callbacks

if TYPE_CHECKING:
    from .cell_run import CellRun
    from .effects import EffectContext

LATER_S = 1.0
"""How long a call waits for the one that was answered before it; an edited script may never ask that one."""


class Played(Resource):
    """A thing of the host's whose calls were kept: its methods are answered from entries."""

    def __init__(self, kind: ResourceDeclaration, context: EffectContext, used: Used | None) -> None:
        self.type = kind.type  # type: ignore[misc]  # of this one, not of its class
        self.lasting = kind.lasting  # type: ignore[misc]
        self._kind = kind
        self._context = context
        self._used = used
        self._shown = 0

    def __getattr__(self, name: str) -> Any:
        """What has no entry: the thing itself is gone."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise ScriptError(f"this {self.type} ended with the worker that it was opened in, and nothing more can come of it", code="resource")

    def show(self, method: str, value: Value) -> None:
        """The text that such an answer brought into the view, and at its end what it used."""
        if self._kind.shows_text and isinstance(value, str) and method in (self._kind.iterate, "text"):
            new = value if method == self._kind.iterate else value[self._shown :]
            self._shown += len(new)
            self._context.chunk(new)
        if self._used is not None and (method == "text" or (method == self._kind.iterate and value is None)):
            used, self._used = self._used, None
            report_used(self._context, used)


def report_used(context: EffectContext, used: Used) -> None:
    """Tokens as they were, and no cost: a replay pays nothing."""
    context.usage(**{**msgspec.structs.asdict(used), "cost_usd": 0.0 if used.cost_usd is not None else None})


class Playback:
    """`source` is what errors call the entries, `times` what clocks of scripts showed after each; `played` counts calls."""

    def __init__(self, entries: Sequence[Entry], source: str, times: Sequence[float] = ()) -> None:
        self.tape = Tape(entries)
        self._times = times
        self.among: Collection[int] | None = None
        """The positions of the entries that may answer now, where not all may."""
        self.source = source
        self.played = 0
        self._openers: dict[tuple[int, int], str] = {}
        """By (state, resource): the name of the call that gave it."""
        self._callbacks: dict[tuple[str, int], int] = {}
        """By the name of the call that was given a function, and the function's place there."""
        self._answered: dict[str, asyncio.Event] = {}

    def find(self, run: CellRun, effect: Effect, written: bytes) -> int | None:
        """The position of the call's entry."""
        opener = "" if effect.target is None else self._openers.get((run.state_number, effect.target), "")
        return self.tape.take(f"{effect.bridge}.{effect.method}", canonical_arguments(written), opener, self.among)

    def missing(self, effect: Effect, written: bytes) -> ReplayError:
        what = f"{effect.bridge}.{effect.method}"
        return ReplayError(f"{what} is not on {self.source}: {self.tape.explain(what, canonical_arguments(written))}")

    async def play(self, run: CellRun, context: EffectContext, effect: Effect, written: bytes, position: int) -> tuple[Value, bytes]:
        """What a call came to, again.  Raises what it raised."""
        entry, name = self.tape[position], self.tape.name(position)
        self.played += 1
        context.replayed = True
        context.ended_s = self._times[position] if self._times else 0.0
        if FUNCTION in written:
            for place, callback in enumerate(callbacks(loads(written))):
                self._callbacks[name, place] = callback.id
        if entry.after:
            with suppress(TimeoutError):
                async with asyncio.timeout(LATER_S):
                    await self._answer_of(entry.after).wait()
        for text in entry.chunks:
            context.chunk(text)
        for given_to, place, arguments in entry.invoked:
            await context.invoke(self._callback(given_to or name, place, entry.call), *loads(arguments))
        if entry.given_up:
            await asyncio.Event().wait()
        self._answer_of(name).set()
        if entry.failure is not None:
            raise error_of(Fault(**msgspec.structs.asdict(entry.failure)), "")
        gives = THING in bytes(entry.answer)
        value, written_value = self._value(run, context, effect, entry, name) if gives else (loads(entry.answer), bytes(entry.answer))
        if entry.used is not None and not gives:
            report_used(context, entry.used)
        self._show(run, effect, value)
        return value, written_value

    @staticmethod
    def _show(run: CellRun, effect: Effect, value: Value) -> None:
        if effect.target is None:
            return
        thing = run.resources.get(run.state_number, effect.target, effect.bridge, effect.method)
        if isinstance(thing, Played):
            thing.show(effect.method, value)

    def _answer_of(self, name: str) -> asyncio.Event:
        return self._answered.setdefault(name, asyncio.Event())

    def _callback(self, given_to: str, place: int, call: str) -> Callback:
        number = self._callbacks.get((given_to, place))
        if number is None:
            raise ReplayError(
                f"{call} called a function that this script has not given: {self.source} is of another script; record it again"
            )
        return Callback(number)

    def _value(self, run: CellRun, context: EffectContext, effect: Effect, entry: Entry, name: str) -> tuple[Value, bytes]:
        """The answer with a thing of this session's in place of each that was given then."""

        def again(wire: Any) -> Any:
            match wire:
                case list():
                    return [again(item) for item in wire]
                case {"$": ["r", str(kind)]}:
                    thing = Played(run.resource_kind(kind), context, entry.used)
                    ref = run.resources.keep(run, thing)
                    run.gave(effect.id, ref.id)
                    self._openers[run.state_number, ref.id] = name
                    return {"$": ["r", ref.id, kind]}
                case dict():
                    return {key: again(item) for key, item in wire.items()}
            return wire

        text: bytes = msgspec.json.encode(again(msgspec.json.decode(entry.answer)))
        return loads(text), text
