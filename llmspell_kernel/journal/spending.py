"""What models cost: tokens and money of events, by cell, model or day.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any, Literal, NamedTuple

from .events import AnyEvent, CallFinished, CallUsage, CellStarted

By = Literal["cell", "model", "day"]
BY: tuple[By, ...] = ("cell", "model", "day")


class Spent(NamedTuple):
    """`cost_usd` is the sum of the known prices, `unpriced` how many requests had none: their cost is not zero, it is not known.

    `cached_tokens` are part of `input_tokens`; `replayed` requests were answered from a cassette and are in none of the other sums.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    replayed: int = 0


class Line(NamedTuple):
    """A group of requests: what they have in common by name, and what they took together."""

    group: Mapping[str, str]
    spent: Spent


def ledger(events: Iterable[AnyEvent], by: Sequence[By] = BY) -> list[Line]:
    """One line a group of one session's events, in the order in which they first came.

    Numbers of cells and calls begin anew in each session, so several have a ledger each, which `merged` puts together.
    """
    events = list(events)
    chunks = {event.cell: event.chunk for event in events if isinstance(event, CellStarted)}
    replayed = {event.call for event in events if isinstance(event, CallFinished) and event.replayed}
    sums: dict[tuple[str, ...], Spent] = {}
    for event in events:
        if isinstance(event, CallUsage):
            facts = {"cell": chunks.get(event.cell, "python"), "model": event.model, "day": _day(event.time)}
            key = tuple(facts[name] for name in by)
            sums[key] = _with(sums.get(key, Spent()), event, event.call in replayed)
    return [Line(dict(zip(by, key, strict=True)), spent) for key, spent in sums.items()]


def merged(lines: Iterable[Line]) -> list[Line]:
    """One line a group where several ledgers have one."""
    groups: dict[tuple[tuple[str, str], ...], list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(line.group.items()), []).append(line)
    return [Line(dict(group), total(same)) for group, same in groups.items()]


def total(lines: Iterable[Line]) -> Spent:
    """All lines together; money is rounded to a billionth of a dollar, below which sums of floats differ by their order."""
    sums = [sum(column) for column in zip(*(line.spent for line in lines), strict=True)]
    return Spent(*sums)._replace(cost_usd=round(sums[4], 9)) if sums else Spent()


def rows(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """As plain data, a dict a line: for a table, a data frame or a file."""
    return [{**line.group, **line.spent._asdict()} for line in lines]


def csv_text(lines: Iterable[Line], by: Sequence[By]) -> str:
    """The rows as a file for other programs: the header stands there although nothing was used."""
    import csv  # 2 ms that a kernel which writes none need not pay

    written = StringIO()
    writer = csv.DictWriter(written, [*by, *Spent._fields], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(lines))
    return written.getvalue()


def _with(spent: Spent, event: CallUsage, replayed: bool) -> Spent:
    if replayed:
        return spent._replace(replayed=spent.replayed + 1)
    return Spent(
        spent.requests + (event.attempts > 0),
        spent.input_tokens + event.input_tokens,
        spent.output_tokens + event.output_tokens,
        spent.cached_tokens + event.cached_tokens,
        round(spent.cost_usd + (event.cost_usd or 0.0), 9),
        spent.unpriced + (event.cost_usd is None),
        spent.replayed,
    )


def _day(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).date().isoformat()
