"""Two runs side by side: the calls they have in common, those that one of them lacks, and what their answers differ in.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal, NamedTuple

from ..values import dumps_plain
from .events import AnyEvent, CallChunk, CallDenied, CallFailed, CallFinished, CallStarted, CallUsage, CellFinished

MOST_WORDS = 5_000
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


class RunCall(NamedTuple):
    """A call of a run.  `cost_usd` None = not known, or it used no model."""

    call: str
    arguments: list[Any]
    answer: Any = None
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    duration_s: float = 0.0


class Words(NamedTuple):
    """A piece of two answers: in both, or in one of them alone."""

    kind: Literal["same", "gone", "new"]
    text: str


class Pair(NamedTuple):
    """The same call in both runs, or one that only one of them made (the other is then None)."""

    before: RunCall | None
    after: RunCall | None

    @property
    def kind(self) -> Literal["same", "changed", "gone", "new"]:
        if self.before is None:
            return "new"
        if self.after is None:
            return "gone"
        same = self.before[:4] == self.after[:4]
        return "same" if same else "changed"


class Sums(NamedTuple):
    """Of a run; `cost_usd` None where a price is not known."""

    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    duration_s: float


class Difference(NamedTuple):
    pairs: list[Pair]
    before: Sums
    after: Sums


def difference(before: Iterable[AnyEvent], after: Iterable[AnyEvent]) -> Difference:
    before, after = list(before), list(after)
    one, other = calls_of(before), calls_of(after)
    return Difference(list(_paired(one, other)), _sums(before, one), _sums(after, other))


def calls_of(events: Iterable[AnyEvent]) -> list[RunCall]:
    """In the order in which they were asked."""
    found: dict[int, RunCall] = {}
    chunks: dict[int, list[str]] = {}
    for event in events:
        match event:
            case CallStarted() | CallDenied():
                found.setdefault(event.call, RunCall(f"{event.bridge}.{event.method}", event.arguments))
                if isinstance(event, CallDenied):
                    found[event.call] = found[event.call]._replace(error=event.message)
            case CallChunk():
                chunks.setdefault(event.call, []).append(event.text)
            case CallUsage() if event.call in found:
                found[event.call] = _used(found[event.call], event)
            case CallFinished() if event.call in found:
                found[event.call] = found[event.call]._replace(answer=event.value, duration_s=event.duration_s)
            case CallFailed() if event.call in found:
                found[event.call] = found[event.call]._replace(error=event.message, duration_s=event.duration_s)
    return [_with_text(call, chunks.get(number)) for number, call in found.items()]


def words(before: str, after: str) -> list[Words]:
    """Two texts as what they have in common and what each has alone, word by word; of long ones the beginnings."""
    one, other = (_WORDS.findall(text)[:MOST_WORDS] for text in (before, after))
    out: list[Words] = []
    for kind, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if kind == "equal":
            out.append(Words("same", "".join(one[a:b])))
            continue
        out += [Words(which, text) for which, text in (("gone", "".join(one[a:b])), ("new", "".join(other[c:d]))) if text]  # type: ignore[arg-type]
    return out


def _paired(one: Sequence[RunCall], other: Sequence[RunCall]) -> Iterable[Pair]:
    """Calls are the same where name and arguments are, in their order; what stands between two such is paired by its name: an edited prompt."""
    before_keys, after_keys = [_key(call) for call in one], [_key(call) for call in other]
    for kind, a, b, c, d in SequenceMatcher(None, before_keys, after_keys, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (Pair(*both) for both in zip(one[a:b], other[c:d], strict=True))
        else:
            yield from _edited(one[a:b], other[c:d])


def _edited(one: Sequence[RunCall], other: Sequence[RunCall]) -> Iterable[Pair]:
    names = [call.call for call in one], [call.call for call in other]
    for kind, a, b, c, d in SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (Pair(*both) for both in zip(one[a:b], other[c:d], strict=True))
        else:
            yield from (Pair(call, None) for call in one[a:b])
            yield from (Pair(None, call) for call in other[c:d])


def _key(call: RunCall) -> tuple[str, bytes]:
    return call.call, dumps_plain(call.arguments) or repr(call.arguments).encode()


def _used(call: RunCall, event: CallUsage) -> RunCall:
    known = event.cost_usd is not None
    return call._replace(
        input_tokens=call.input_tokens + event.input_tokens,
        output_tokens=call.output_tokens + event.output_tokens,
        cost_usd=(call.cost_usd or 0.0) + (event.cost_usd or 0.0) if known else None,
    )


def _with_text(call: RunCall, chunks: list[str] | None) -> RunCall:
    """A stream's answer is its text."""
    return call._replace(answer="".join(chunks)) if chunks and not isinstance(call.answer, str) else call


def _sums(events: Iterable[AnyEvent], calls: Sequence[RunCall]) -> Sums:
    costs = [call.cost_usd for call in calls if call.input_tokens or call.output_tokens]
    return Sums(
        len(calls),
        sum(call.input_tokens for call in calls),
        sum(call.output_tokens for call in calls),
        None if None in costs else round(sum(cost or 0.0 for cost in costs), 9),
        sum(event.duration_s for event in events if isinstance(event, CellFinished)),
    )
