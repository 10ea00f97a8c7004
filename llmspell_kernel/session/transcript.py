"""What calls came to, as entries that can be played again: named so that a script which was edited elsewhere finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..errors import ValueCrossingError
from ..journal.canonical import canonical, canonical_arguments, key_of
from ..journal.cassette import Entry, Failure, Used
from ..journal.events import INCOMPLETE
from ..redaction import Redactor
from ..values import Callback, Value, loads
from .faults import fault_of
from .redacted import redacted_fault

MADE_BYTES = 600
"""Of a call without what it holds: measured, 540 bytes of objects."""
THING = b'"r",'
FUNCTION = b'"f",'


class Made:
    """One call of a script, kept raw while it runs: as cheap as can be, since every call of every cell has one.

    `place` and `answered` count what happens to the calls of a session: where each was asked, and where it was answered.  `step` is the cell,
    and how often it had gone on, when the call was answered.
    """

    __slots__ = (
        "answer",
        "answered",
        "call",
        "chunks",
        "ended_s",
        "failure",
        "given_up",
        "invoked",
        "passed_s",
        "place",
        "state",
        "step",
        "target",
        "used",
        "volatile",
        "written",
    )

    def __init__(self, place: int, state: int, call: str, target: int | None, written: bytes, volatile: Sequence[str]) -> None:
        self.place = place
        self.state = state
        self.call = call
        self.target = target
        self.written = written
        self.volatile = volatile
        self.answered = 0
        self.step = (0, 0)
        self.answer = b"null"
        self.failure: Failure | None = None
        self.given_up = False
        self.chunks: Sequence[str] = ()
        self.invoked: Sequence[tuple[Callback, bytes]] = ()
        self.used: Used | None = None
        self.passed_s = 0.0
        self.ended_s = 0.0
        """What clocks of scripts showed after it."""

    def failed(self, error: BaseException, redactor: Redactor) -> None:
        fault = redacted_fault(fault_of(error, self.call), redactor)
        self.answer = b"null"  # it had one, where the failure is that it could not be recorded
        self.failure = Failure(**{name: getattr(fault, name) for name in Failure.__struct_fields__})

    def add_use(self, used: Used) -> None:
        """A call that asks a model several times used all of it; what an attempt of unknown price cost, all of it cost."""
        if (before := self.used) is not None:
            known = before.cost_usd is not None and used.cost_usd is not None
            used = Used(
                used.model,
                before.input_tokens + used.input_tokens,
                before.output_tokens + used.output_tokens,
                before.cached_tokens + used.cached_tokens,
                before.cost_usd + used.cost_usd if known else None,  # type: ignore[operator]
                used.finish_reason,
            )
        self.used = used

    def add_chunk(self, text: str) -> None:
        if isinstance(self.chunks, tuple):  # most calls have none
            self.chunks = []
        self.chunks.append(text)  # type: ignore[attr-defined]

    def add_invocation(self, callback: Callback, arguments: bytes) -> None:
        if isinstance(self.invoked, tuple):
            self.invoked = []
        self.invoked.append((callback, arguments))  # type: ignore[attr-defined]

    def redact(self, redactor: Redactor) -> None:
        """Takes secrets out of the text that was shown, also where two pieces share one; arguments and answer hold none."""
        if redactor.active and redactor.finds(text := "".join(self.chunks)):
            self.chunks = [redactor.redact(text)]

    @property
    def size_bytes(self) -> int:
        """About what it holds."""
        return (
            MADE_BYTES
            + len(self.written)
            + len(self.answer)
            + sum(len(text) + 60 for text in self.chunks)
            + sum(len(text) + 200 for _, text in self.invoked)
        )


def size_of(entry: Entry) -> int:
    """What the call of an entry takes in a history."""
    shown = sum(len(text) + 60 for text in entry.chunks)
    return MADE_BYTES + len(entry.arguments) + len(entry.answer) + shown + sum(len(text) + 200 for *_, text in entry.invoked)


class Transcript:
    """Makes entries of calls: `asked` in the order in which they were asked, `entry` in the order in which they were answered.

    A call is named at its entry at the latest; `name_asked` does it before, while the calls wait for their answers.
    """

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        self._counts = counts or {}
        """By key, how many calls of it there are."""
        self._unnamed: list[Made] = []
        """In the order in which they were asked."""
        self._asked: dict[int, tuple[str, bytes, str] | ValueCrossingError] = {}
        """By place: its name, its canonical arguments, and the name of its opener."""
        self._openers: dict[tuple[int, int], str] = {}
        self._functions: dict[tuple[int, int], tuple[str, int]] = {}
        self._told: dict[int, _Told] = {}
        """By state."""

    def asked(self, made: Made) -> None:
        self._unnamed.append(made)

    def name_asked(self) -> None:
        unnamed, self._unnamed = self._unnamed, []
        for made in unnamed:
            try:
                self._asked[made.place] = self._named(made)
            except ValueCrossingError as error:
                self._asked[made.place] = error

    def _named(self, made: Made) -> tuple[str, bytes, str]:
        arguments = canonical_arguments(made.written)
        opener = "" if made.target is None else self._openers.get((made.state, made.target), "")
        key = key_of(made.call, arguments, opener)
        number = self._counts[key] = self._counts.get(key, 0) + 1
        name = f"{key}:{number - 1}"
        if FUNCTION in made.written:
            for place, callback in enumerate(callbacks(loads(made.written))):
                self._functions[made.state, callback.id] = name, place
        return name, arguments, opener

    def forget(self, made: Made) -> None:
        """The call was stopped with its cell: it came to nothing that could be played."""
        self.name_asked()
        asked = self._asked.pop(made.place)
        if isinstance(asked, ValueCrossingError):
            return
        key, _, number = asked[0].partition(":")
        if self._counts[key] == int(number) + 1:
            self._counts[key] -= 1

    def entry(self, made: Made) -> Entry:
        """Raises ValueCrossingError for arguments that are in no written form."""
        self.name_asked()
        asked = self._asked.pop(made.place)
        if isinstance(asked, ValueCrossingError):
            raise asked
        name, arguments, opener = asked
        gives = THING in made.answer and self._note_things(made.state, msgspec.json.decode(made.answer), name)
        if (told := self._told.get(made.state)) is None:
            told = self._told[made.state] = _Told()
        return Entry(
            made.call,
            msgspec.Raw(arguments),
            msgspec.Raw(_lasting(made.answer, made.volatile)),
            made.failure,
            made.given_up,
            # the text of a stream comes by its own calls, and how much of it was read ahead is chance
            [] if gives else list(made.chunks),
            [self._invoked(made, callback, arguments) for callback, arguments in made.invoked] if made.invoked else [],
            whole(made.used),
            opener,
            told.overtaken_by(made.place, name, made.step),
            made.passed_s,
        )

    def _invoked(self, made: Made, callback: Callback, arguments: bytes) -> tuple[str, int, msgspec.Raw]:
        given_to, place = self._functions.get((made.state, callback.id), ("", 0))
        return given_to, place, msgspec.Raw(canonical_arguments(arguments))

    def _note_things(self, state: int, wire: Any, name: str) -> bool:
        """Is there a thing that the host keeps in an answer?"""
        match wire:
            case {"$": ["r", int(number), str()]}:
                self._openers[state, number] = name
                return True
            case dict() | list():
                found = False
                for item in wire.values() if isinstance(wire, dict) else wire:
                    found = self._note_things(state, item, name) or found
                return found
        return False


class _Told:
    """What a state was answered: the answers that its script had when it last went on, and those since."""

    def __init__(self) -> None:
        self._step = (0, 0)
        self._seen = ""
        """The name of the last that the script has seen."""
        self._latest_place = -1
        """The greatest place among them."""
        self._since: list[tuple[int, str]] = []

    def overtaken_by(self, place: int, name: str, step: tuple[int, int]) -> str:
        """The name of the answer that the script has seen last, where one that it has seen was of a call asked after this one."""
        if step != self._step:
            for since, seen in self._since:
                self._seen, self._latest_place = seen, max(self._latest_place, since)
            self._step, self._since = step, []
        self._since.append((place, name))
        return self._seen if self._latest_place > place else ""


def entries_of(calls: Sequence[Made]) -> list[Entry]:
    """The entries of calls that have all ended, in the order in which they were asked; `calls` are in that in which they were answered."""
    transcript = Transcript()
    done: list[tuple[int, Entry]] = []
    # a method of a thing can only be asked once the call that gave it was answered: so both orders are walked together
    waiting = sorted(calls, key=lambda made: made.place)
    at = 0
    for made in calls:
        while at < len(waiting) and waiting[at].place <= made.place:
            transcript.asked(waiting[at])
            at += 1
        done.append((made.place, transcript.entry(made)))
    return [entry for _, entry in sorted(done, key=lambda one: one[0])]


def times_of(calls: Sequence[Made]) -> list[float]:
    """What clocks showed after each, in the order of `entries_of`."""
    return [made.ended_s for made in sorted(calls, key=lambda made: made.place)]


def whole(used: Used | None) -> Used | None:
    """What an answer used that came to its end; of one that was left, it is chance."""
    return used if used is not None and used.finish_reason not in ("", INCOMPLETE) else None


def callbacks(value: Value) -> list[Callback]:
    """The functions in some arguments, in the order of their places."""
    if isinstance(value, Callback):
        return [value]
    if isinstance(value, dict):
        return [found for key in sorted(value) for found in callbacks(value[key])]
    return [found for item in value for found in callbacks(item)] if isinstance(value, list) else []


def _lasting(answer: bytes, volatile: Sequence[str]) -> bytes:
    """The canonical form of an answer as the host has written it, with 0 in place of members that differ from run to run."""
    if b"{" not in answer:
        return answer  # it has neither keys that have an order nor ids
    if volatile:
        value = msgspec.json.decode(answer)
        items = value if isinstance(value, list) else [value]
        if all(isinstance(item, dict) for item in items):
            lasting = [{**item, **{name: 0 for name in volatile if name in item}} for item in items]
            answer = msgspec.json.encode(lasting if isinstance(value, list) else lasting[0])
    return canonical(answer)
