"""Recording the calls of a session on a cassette, and answering them from one.

Rules
- Policy comes first: what is denied stays denied in a replay.  A replayed call reaches no bridge, asks nobody and costs nothing.
- A method that only shows or computes (`replay="call"`) is called again and is not on the cassette.
- In a strict replay a call that is not on the cassette is an error with the nearest one; with `auto` it is made, and added.
- A thing that the host kept (a stream) is played by its own calls; a script's functions are called again with what they were called with.
- A call that was given up is on the cassette as such: in a replay it is never answered, so that the same one wins a race.  So does one that
  the script saw answered before an earlier one: that one waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ..bridges._bridge import Resource
from ..bridges._declaration import MethodDeclaration, ResourceDeclaration
from ..errors import BridgeError, ScriptError
from ..journal.canonical import canonical, key_of
from ..journal.cassette import Entry, Failure, Used
from ..journal.cassette_file import CassetteFile, load_cassette
from ..journal.tape import Tape
from ..protocol.steps import Effect, Fault
from ..values import Callback, Value, dumps, loads
from .faults import error_of, fault_of

if TYPE_CHECKING:
    from .cell_run import CellRun
    from .effects import EffectContext

Mode = Literal["record", "replay", "auto"]
MODES: tuple[Mode, ...] = ("record", "replay", "auto")
LATER_S = 1.0
"""How long a replayed call waits for the one that was answered before it; an edited script may never ask that one."""
Live = Callable[[], Awaitable[tuple[Value, bytes]]]


class Observed:
    """What a call did beside answering, as far as a replay shows it again."""

    def __init__(self) -> None:
        self.chunks: list[str] = []
        self.invoked: list[tuple[Callback, bytes]] = []
        self.used: Used | None = None


class Played(Resource):
    """A thing of the host's that was recorded: its methods are answered from the cassette."""

    def __init__(self, kind: ResourceDeclaration, name: str, context: EffectContext, used: Used | None) -> None:
        self.type = kind.type  # type: ignore[misc]  # of this one, not of its class
        self.lasting = kind.lasting  # type: ignore[misc]
        self.kind = kind
        self.name = name
        self.context = context
        self._used = used
        self._shown = 0

    def show(self, method: str, value: Value) -> None:
        """The text that such an answer brought into the view, and at its end what it used."""
        if self.kind.shows_text and isinstance(value, str) and method in (self.kind.iterate, "text"):
            new = value if method == self.kind.iterate else value[self._shown :]
            self._shown += len(new)
            self.context.chunk(new)
        if self._used is not None and (method == "text" or (method == self.kind.iterate and value is None)):
            used, self._used = self._used, None
            report_used(self.context, used)


def report_used(context: EffectContext, used: Used) -> None:
    """Tokens as they were, and no cost: a replay pays nothing."""
    context.usage(**{**msgspec.structs.asdict(used), "cost_usd": 0.0 if used.cost_usd is not None else None})


class _Asked:
    """A call of this recording: what it is, until its entry is there."""

    def __init__(self, name: str, place: int) -> None:
        self.name = name
        self.place = place
        self.entry: Entry | None = None
        self.opened: Observed | None = None
        """Of one that gave a thing: what is used after its answer belongs to it too."""


class _Told:
    """What a state was answered: the answers that its script had when it last went on, and those since."""

    def __init__(self) -> None:
        self.step = (0, 0)
        self.before: _Asked | None = None
        """The last of those that the script has seen."""
        self.latest_place = -1
        """The greatest place among them."""
        self.since: list[_Asked] = []

    def overtaken_by(self, asked: _Asked, step: tuple[int, int]) -> str:
        """The name of the answer that the script has seen last, where that is of a call asked after this one, or came after such an answer."""
        if step != self.step:
            for told in self.since:
                self.before, self.latest_place = told, max(self.latest_place, told.place)
            self.step, self.since = step, []
        self.since.append(asked)
        return self.before.name if self.before is not None and self.latest_place > asked.place else ""


class Taping:
    """One recording or replay, from `%llmspell record` to its `close`.  `recorded` and `played` count calls.

    Raises LoadError where a cassette that is to be played cannot be read.
    """

    def __init__(self, mode: Mode, file: Path) -> None:
        self.mode = mode
        self.file = file
        plays = mode == "replay" or (mode == "auto" and file.exists())
        self._kept: Sequence[Entry] = load_cassette(file) if plays else ()
        self._tape = Tape(self._kept)
        self._writer = CassetteFile(file) if mode != "replay" else None
        self._asked: list[_Asked] = []
        self._counts: dict[str, int] = {}
        self._openers: dict[tuple[int, int], str] = {}
        """By (state, resource): the name of the call that gave it."""
        self._functions: dict[tuple[int, int], tuple[str, int]] = {}
        """By (state, callback): the name of the call that was given it, and its place there."""
        self._callbacks: dict[tuple[str, int], int] = {}
        """The way back, in a replay."""
        self._answered: dict[str, asyncio.Event] = {}
        self._told: dict[int, _Told] = {}
        """By state."""
        self.recorded = self.played = 0

    @property
    def known(self) -> int:
        """How many calls were on the cassette."""
        return len(self._kept)

    @staticmethod
    def takes(method: MethodDeclaration) -> bool:
        return method.replay == "answer"

    async def perform(
        self, run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value], method: MethodDeclaration, live: Live
    ) -> tuple[Value, bytes]:
        """What a call comes to: from the cassette, or made and written down."""
        what = f"{effect.bridge}.{effect.method}"
        written = bytes(effect.args) if len(effect.args) > len(b"[]") else dumps(arguments)
        asked = canonical(written)
        opener = "" if effect.target is None else self._openers.get((run.state_number, effect.target), "")
        if self.mode != "record":
            position = self._tape.take(what, asked, opener)
            if position is not None:
                self._note_functions(run, written, self._tape.name(position))
                return await self._play(run, context, effect, position)
            if self.mode == "replay":
                raise ScriptError(
                    f"{what} is not on the cassette {self.file.name}: {self._tape.explain(what, asked)}", name="ReplayError", code="replay"
                )
        return await self._record(run, context, effect, method, live, Entry(what, msgspec.Raw(asked), opener=opener), written)

    # -- playing

    async def _play(self, run: CellRun, context: EffectContext, effect: Effect, position: int) -> tuple[Value, bytes]:
        entry, name = self._tape[position], self._tape.name(position)
        self.played += 1
        context.replayed = True
        if entry.after:
            with suppress(TimeoutError):
                async with asyncio.timeout(LATER_S):
                    await self._answer_of(entry.after).wait()
        for chunk in entry.chunks:
            context.chunk(chunk)
        for given_to, place, arguments in entry.invoked:
            await context.invoke(self._callback(given_to or name, place, entry.call), *loads(arguments))
        if entry.given_up:
            await asyncio.Event().wait()
        self._answer_of(name).set()
        if entry.failure is not None:
            raise error_of(Fault(**msgspec.structs.asdict(entry.failure)), "")
        value, text = self._value(run, context, effect, entry, name)
        if entry.used is not None and not self._opens(entry):
            report_used(context, entry.used)
        if effect.target is not None:
            thing = run.resources.get(run.state_number, effect.target, effect.bridge, effect.method)
            if isinstance(thing, Played):
                thing.show(effect.method, value)
        return value, text

    def _answer_of(self, name: str) -> asyncio.Event:
        return self._answered.setdefault(name, asyncio.Event())

    def _callback(self, given_to: str, place: int, call: str) -> Callback:
        number = self._callbacks.get((given_to, place))
        if number is None:
            raise ScriptError(
                f"{call} called a function that this script has not given: the cassette {self.file.name} was recorded with another script; "
                "record it again",
                name="ReplayError",
                code="replay",
            )
        return Callback(number)

    @staticmethod
    def _opens(entry: Entry) -> bool:
        return b'{"$":["r",' in bytes(entry.answer)

    def _value(self, run: CellRun, context: EffectContext, effect: Effect, entry: Entry, name: str) -> tuple[Value, bytes]:
        """The recorded answer, with a thing of this session's in place of each that was given then."""
        if not self._opens(entry):
            return loads(entry.answer), bytes(entry.answer)
        text: bytes = msgspec.json.encode(self._with_things(msgspec.json.decode(entry.answer), run, context, effect, entry, name))
        return loads(text), text

    def _with_things(self, wire: Any, run: CellRun, context: EffectContext, effect: Effect, entry: Entry, name: str) -> Any:
        match wire:
            case list():
                return [self._with_things(item, run, context, effect, entry, name) for item in wire]
            case {"$": ["r", str(kind)]}:
                thing = Played(run.resource_kind(kind), name, context, entry.used)
                ref = run.resources.keep(run.state_number, run.state_name, run.cell, thing, run.limits.resources)
                run.gave(effect.id, ref.id)
                self._openers[run.state_number, ref.id] = name
                return {"$": ["r", ref.id, kind]}
            case dict():
                return {key: self._with_things(item, run, context, effect, entry, name) for key, item in wire.items()}
        return wire

    # -- recording

    async def _record(
        self,
        run: CellRun,
        context: EffectContext,
        effect: Effect,
        method: MethodDeclaration,
        live: Live,
        entry: Entry,
        written: bytes,
    ) -> tuple[Value, bytes]:
        asked = self._ask(entry)
        self._note_functions(run, written, asked.name)
        context.observed = observed = Observed()
        try:
            value, text = await live()
        except asyncio.CancelledError:
            self._done(run, asked, observed, msgspec.structs.replace(entry, given_up=True))
            raise
        except Exception as error:
            fault = fault_of(error, entry.call)
            failure = Failure(**{name: getattr(fault, name) for name in Failure.__struct_fields__})
            self._done(run, asked, observed, msgspec.structs.replace(entry, failure=failure))
            raise
        answer = canonical(_without(text, method.volatile))
        if b'"$"' in text:
            self._note_things(run, msgspec.json.decode(text), asked, observed)
        self._done(run, asked, observed, msgspec.structs.replace(entry, answer=msgspec.Raw(answer)))
        return value, text

    def _ask(self, entry: Entry) -> _Asked:
        key = key_of(entry.call, bytes(entry.arguments), entry.opener)
        number = self._counts.get(key, sum(self._tape.name(at).startswith(f"{key}:") for at in range(len(self._tape))))
        self._counts[key] = number + 1
        asked = _Asked(f"{key}:{number}", len(self._asked))
        self._asked.append(asked)
        return asked

    def _done(self, run: CellRun, asked: _Asked, observed: Observed, entry: Entry) -> None:
        """Writes the entry down, before anyone learns of the answer.  Raises BridgeError where the disk refuses."""
        asked.entry = self._with_observed(run, entry, observed, asked.opened is not None)
        if after := self._told.setdefault(run.state_number, _Told()).overtaken_by(asked, (run.cell, run.resumes)):
            asked.entry = msgspec.structs.replace(asked.entry, after=after)
        self.recorded += 1
        assert self._writer is not None
        try:
            self._writer.append(asked.entry)
        except OSError as error:
            raise BridgeError(
                f"the call was made, and could not be recorded in {self.file.name}: {error.strerror or error}", code="not_recorded"
            ) from error

    def _with_observed(self, run: CellRun, entry: Entry, observed: Observed, opens: bool) -> Entry:
        invoked = []
        for callback, arguments in observed.invoked:
            given_to, place = self._functions.get((run.state_number, callback.id), ("", 0))
            invoked.append((given_to, place, msgspec.Raw(canonical(arguments))))
        # the text of a stream comes by its own calls, and how much of it was read ahead is chance
        return msgspec.structs.replace(entry, chunks=[] if opens else observed.chunks, invoked=invoked, used=_whole(observed.used))

    def _note_functions(self, run: CellRun, written: bytes, name: str) -> None:
        if b'{"$":["f"' not in written.replace(b" ", b""):
            return
        for place, callback in enumerate(_callbacks(loads(written))):
            self._functions[run.state_number, callback.id] = (name, place)
            self._callbacks[name, place] = callback.id

    def _note_things(self, run: CellRun, wire: Any, asked: _Asked, observed: Observed) -> None:
        match wire:
            case {"$": ["r", int(number), str()]}:
                self._openers[run.state_number, number] = asked.name
                asked.opened = observed
            case dict():
                for item in wire.values():
                    self._note_things(run, item, asked, observed)
            case list():
                for item in wire:
                    self._note_things(run, item, asked, observed)

    def cell_ended(self) -> None:
        """What the cell recorded is safe on the disk from now on."""
        if self._writer is not None:
            with suppress(OSError):  # it was told at the call
                self._writer.sync()

    def close(self) -> None:
        """Puts the recording in its lasting order: that in which calls were asked.  Raises OSError; the file then stays as it was written."""
        if self._writer is not None and (self._asked or self.mode == "record"):
            self._writer.finish([*self._kept, *(asked.entry for asked in map(_with_use, self._asked) if asked.entry is not None)])


def _with_use(asked: _Asked) -> _Asked:
    if asked.opened is not None and asked.entry is not None:
        asked.entry = msgspec.structs.replace(asked.entry, used=_whole(asked.opened.used))
    return asked


def _whole(used: Used | None) -> Used | None:
    """What an answer used that came to its end; of one that was left, it is chance."""
    return used if used is not None and used.finish_reason not in ("", "incomplete") else None


def _without(text: bytes, volatile: Sequence[str]) -> bytes:
    """An answer with 0 in place of members that differ from run to run."""
    if not volatile:
        return text
    value = msgspec.json.decode(text)
    return msgspec.json.encode({**value, **{name: 0 for name in volatile if name in value}}) if isinstance(value, dict) else text


def _callbacks(value: Value) -> list[Callback]:
    """The functions in some arguments, in the order of their places."""
    if isinstance(value, Callback):
        return [value]
    if isinstance(value, dict):
        return [found for key in sorted(value) for found in _callbacks(value[key])]
    return [found for item in value for found in _callbacks(item)] if isinstance(value, list) else []
