"""Budgets: what scripts may spend on models, counted by cell, by session and by day.  Pure arithmetic on whole numbers.

Rules
- What a call may cost at the most is reserved before it starts; what it really cost takes that place when it is over (settled); where nothing
  was used, nothing is counted (released).  As what is reserved counts like what is used, calls that run at the same time cannot pass a cap
  together.
- Money is counted in billionths of a dollar and time in milliseconds, both rounded up: sums of fractions would drift.
- A day is a date in UTC, whatever time zone a kernel thinks it is in.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from operator import add, sub
from typing import Annotated, Literal, NamedTuple

from ..errors import DeniedError, LimitError
from .mending import listed, with_one_more
from .numbers import FromZero, Least

Amount = Annotated[float, Least(0)]

NO_LIMIT = 1_000_000_000
"""Of any measure: more than anyone can use.  0 is a budget too: it allows nothing."""
UNLIMITED = "no limit"
"""How that is written and shown."""
NEAR = 0.8
"""The share of a budget from which its user is warned."""
SPANS = ("cell", "session", "day")
MODEL_CHARS = 500
"""A script chooses the name, and patterns take longer the longer it is; an ARN of Amazon's has about 120."""


class Budgets(NamedTuple):
    """What scripts may use of models.  0 allows nothing (`day_cost_usd = 0`: only models that are free); "no limit" is more than anyone can use."""

    cell_requests: FromZero = 1_000
    """How many questions one cell may send to models, retries included."""
    session_requests: FromZero = NO_LIMIT
    """The same for a session: a notebook from kernel start to restart, or one run of the command."""
    day_requests: FromZero = NO_LIMIT
    """The same for all sessions of a user on one day (UTC)."""
    cell_tokens: FromZero = NO_LIMIT
    """How many tokens one cell may use, questions and answers together."""
    session_tokens: FromZero = NO_LIMIT
    """The same for a session."""
    day_tokens: FromZero = NO_LIMIT
    """The same for a day."""
    cell_cost_usd: Amount = 10.0
    """How much one cell may cost, in US dollars."""
    session_cost_usd: Amount = 25.0
    """The same for a session."""
    day_cost_usd: Amount = 50.0
    """The same for a day."""
    cell_seconds: Amount = NO_LIMIT
    """How long the models of one cell may take, all calls added up."""
    session_seconds: Amount = NO_LIMIT
    """The same for a session."""
    day_seconds: Amount = NO_LIMIT
    """The same for a day."""
    cell_steps: FromZero = 1_000
    """How many steps the agents of one cell may take, all together."""
    session_steps: FromZero = NO_LIMIT
    """The same for a session."""
    day_steps: FromZero = NO_LIMIT
    """The same for a day."""
    unknown_price: Literal["allow", "refuse"] = "allow"
    """What happens to a call whose price is not known: it goes out and its cost is not counted, or it is refused (as the preset strict has it)."""
    models: tuple[str, ...] = ("*",)
    """The models that scripts may ask, as names or patterns such as `openai/gpt-4o*`."""


class Measure(NamedTuple):
    """`name` is what follows the span in a key, `field` the place in `Amounts`, `scale` how many of its units are one of the key's."""

    name: str
    field: str
    scale: int
    less: str
    """How a script asks for less of it."""


MEASURES = (
    Measure("requests", "requests", 1, "ask fewer times"),
    Measure("tokens", "tokens", 1, "ask for less with max_tokens or a shorter prompt"),
    Measure("cost_usd", "nano_usd", 1_000_000_000, "ask for less with max_tokens, a shorter prompt or a cheaper model"),
    Measure("seconds", "ms", 1_000, "ask for less time with timeout_s"),
    Measure("steps", "steps", 1, "let agents take fewer steps"),
)
TIGHTER: Mapping[str, str] = {
    **{f"{span}_{measure.name}": "lower" for span in SPANS for measure in MEASURES},
    "models": "covered",
}


def is_budget(field: str) -> bool:
    """Is it an amount of one span, and not a rule beside them?"""
    return field.startswith(tuple(f"{span}_" for span in SPANS))


class Amounts(NamedTuple):
    """What a call, or many, may use or have used.  `unpriced` counts requests whose cost nobody knows, so that `nano_usd` is too small."""

    requests: int = 0
    tokens: int = 0
    nano_usd: int = 0
    ms: int = 0
    steps: int = 0
    unpriced: int = 0

    def plus(self, other: Amounts) -> Amounts:
        return Amounts(*map(add, self, other))

    def minus(self, other: Amounts) -> Amounts:
        return Amounts(*map(sub, self, other))


def amounts(*, requests: int = 0, tokens: int = 0, cost_usd: float | None = 0.0, seconds: float = 0.0, steps: int = 0) -> Amounts:
    """From the units that people use.  A cost of None is not known: it counts as nothing, and `unpriced` says of how many requests."""
    unpriced = requests if cost_usd is None else 0
    return Amounts(max(requests, 0), max(tokens, 0), _up(cost_usd or 0.0, 1_000_000_000), _up(seconds, 1_000), max(steps, 0), unpriced)


class Tally(NamedTuple):
    """What one span has used, and what calls that still run have reserved."""

    used: Amounts = Amounts()
    reserved: Amounts = Amounts()

    @property
    def taken(self) -> Amounts:
        return self.used.plus(self.reserved)

    def reserve(self, asked: Amounts) -> Tally:
        return Tally(self.used, self.reserved.plus(asked))

    def settle(self, asked: Amounts, really: Amounts) -> Tally:
        """What was reserved is free again, and what was really used is counted: nothing, of what is released."""
        return Tally(self.used.plus(really), self.reserved.minus(asked))


class Line(NamedTuple):
    """One budget and its use, in the key's own unit; `reserved` is the part of `used` that calls still running may need at the most."""

    key: str
    used: float
    reserved: float
    cap: float

    @property
    def is_limited(self) -> bool:
        return self.cap < NO_LIMIT

    @property
    def is_near(self) -> bool:
        """Is so much really used that its user should know?"""
        return self.is_limited and self.used - self.reserved > 0 and self.used - self.reserved >= NEAR * self.cap

    def __str__(self) -> str:
        used = self.used - self.reserved
        share = f"{math.floor(100 * used / self.cap)} %" if self.cap else "all"
        return f"{share} of the budget {self.key} is used: {shown(self.key, used)} of {shown(self.key, self.cap)}"


@lru_cache(maxsize=16)
def caps_of(budgets: Budgets, span: str) -> Amounts:
    """The caps of a span in whole units; what has no price has no cap."""
    caps = {measure.field: int(getattr(budgets, f"{span}_{measure.name}") * measure.scale) for measure in MEASURES}
    return Amounts(**caps, unpriced=sys.maxsize)


def may_be_near(budgets: Budgets, span: str, tally: Tally) -> bool:
    """False where no line of the span is near: asked after every call, and most are far from their budgets."""
    return any(used > 0 and used >= NEAR * cap for used, cap in zip(tally.used, caps_of(budgets, span), strict=True))


def lines(budgets: Budgets, span: str, tally: Tally) -> Iterator[Line]:
    """Every budget of a span, in the order of MEASURES."""
    taken = tally.taken
    for measure in MEASURES:
        used, reserved = (getattr(of, measure.field) / measure.scale for of in (taken, tally.reserved))
        yield Line(f"budgets.{span}_{measure.name}", used, reserved, getattr(budgets, f"{span}_{measure.name}"))


def table(report: Collection[Line]) -> str:
    """The budgets that have a cap or of which something was used, as text."""
    rows = [
        (line.key, shown(line.key, line.used), shown(line.key, line.cap) if line.is_limited else UNLIMITED, _remark(line))
        for line in report
        if line.is_limited or line.used
    ]
    header = ("budget", "used", "of", "")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(3)]
    return "\n".join(
        f"{key:<{widths[0]}}  {used:>{widths[1]}}  {cap:>{widths[2]}}  {remark}".rstrip() for key, used, cap, remark in (header, *rows)
    )


def _remark(line: Line) -> str:
    near = f"{math.floor(100 * (line.used - line.reserved) / line.cap)} %" if line.is_near and line.cap else ""
    reserved = f"{shown(line.key, line.reserved)} of it reserved by calls that still run" if line.reserved else ""
    return ", ".join(part for part in (near, reserved) if part)


def admitted(budgets: Budgets, span: str, tally: Tally, asked: Amounts) -> Amounts:
    """What may be reserved: what was asked, but no more time than is left.  Raises LimitError for what does not fit.

    Time alone is given in part, as a call can be ended when its time is over, and most need a small part of their timeout.
    """
    left = caps_of(budgets, span).minus(tally.taken)
    if all(wanted <= 0 or wanted <= room for wanted, room in zip(asked, left, strict=True)):
        return asked
    for measure in MEASURES:
        wanted, room = getattr(asked, measure.field), getattr(left, measure.field)
        if wanted > max(room, 0) and (measure.field != "ms" or room <= 0):
            raise _exceeded(budgets, span, tally, measure, wanted)
    return asked._replace(ms=min(asked.ms, left.ms))


def check_model(budgets: Budgets, model: str, place: str = "") -> None:
    """Raises DeniedError for a model that scripts may not ask; `place` is where `models` was set, "" where nobody knows."""
    if len(model) > MODEL_CHARS:
        raise DeniedError(
            f"the name of a model has at most {MODEL_CHARS} characters, and '{model[:80]}…' has {len(model):,}; give one that there is",
            capability="model",
        )
    if not any(fnmatchcase(model, pattern) for pattern in budgets.models):
        raise DeniedError(
            f"the policy does not allow the model '{model}' (budgets.models = {listed(budgets.models)}); "
            f"{with_one_more('budgets.models', budgets.models, model, place)}",
            capability=f"model:{model}",
        )


def check_price(budgets: Budgets, model: str) -> None:
    """For a model whose price is not known.  Raises LimitError where such calls are refused."""
    if budgets.unknown_price == "refuse":
        raise LimitError(
            f"the price of '{model}' is not known, so its cost cannot be kept within budgets.*_cost_usd; "
            "choose a model with a price, or count such calls without their cost: [budgets] unknown_price = 'allow'",
            limit="budgets.unknown_price",
        )


def out_of_time(budgets: Budgets, spans: Mapping[str, Tally], granted_ms: int) -> LimitError:
    """The error of a call that was given less time than it asked for, and needed more."""
    left = {span: caps_of(budgets, span).ms - tally.used.ms for span, tally in spans.items()}
    span = min(left, key=lambda span: left[span])
    key = f"budgets.{span}_seconds"
    cap = getattr(budgets, f"{span}_seconds")
    return LimitError(
        f"the call was ended after {granted_ms / 1_000:g} s, which was all that {_whose(span)} budget of model time had left "
        f"({key} = {shown(key, cap)}); {_mend(key, cap)}",
        limit=key,
        value=cap,
        used=spans[span].taken.ms / 1_000,
    )


def _exceeded(budgets: Budgets, span: str, tally: Tally, measure: Measure, wanted: int) -> LimitError:
    key, cap = f"budgets.{span}_{measure.name}", getattr(budgets, f"{span}_{measure.name}")
    taken, reserved = getattr(tally.taken, measure.field) / measure.scale, getattr(tally.reserved, measure.field) / measure.scale
    pending = f", {shown(key, reserved)} of it reserved by calls that still run" if reserved else ""
    asked = shown(key, wanted / measure.scale)
    return LimitError(
        f"{_whose(span)} budget of {_noun(measure)} does not allow this call: {key} = {shown(key, cap)}, {shown(key, taken)} used{pending}, "
        f"and the call may need {asked}; {measure.less}, or {_mend(key, cap)}",
        limit=key,
        value=cap,
        used=taken,
    )


def _mend(key: str, cap: float) -> str:
    table, _, name = key.partition(".")
    more = cap * 2 or 1
    return f"raise the budget in your settings: [{table}] {name} = {more:g}"


def _whose(span: str) -> str:
    return f"the {span}'s"


def _noun(measure: Measure) -> str:
    return {"cost_usd": "money", "seconds": "model time", "steps": "agent steps"}.get(measure.name, measure.name)


def shown(key: str, value: float) -> str:
    """An amount in the unit of its key."""
    if key.endswith("_usd"):
        return f"${value:.4f}" if value >= 0.0001 or value == 0 else f"${value:.9f}".rstrip("0")
    if key.endswith("_seconds"):
        return f"{value:,.1f} s"
    return f"{value:,.0f}"


def _up(value: float, scale: int) -> int:
    """In whole units, rounded up; what is only the error of a binary fraction is no more."""
    return math.ceil(round(value * scale, 3)) if 0 < value < math.inf else 0
