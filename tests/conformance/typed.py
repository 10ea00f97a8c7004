"""A bridge whose methods take and give Python's own types: written only with what a third party has."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.shown import Data
from llmspell_kernel.values import Callback


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Row:
    """One row.

    - id: its number
    """

    id: int
    when: date
    tags: set[str] = field(default_factory=set)


class Place(NamedTuple):
    x: float
    y: float = 0.5


class Range(TypedDict, total=False):
    first: int
    last_day: date


GIVEN: dict[str, Any] = {
    "date": date(2025, 1, 31),
    "datetime": datetime(2025, 1, 31, 12),
    "timedelta": timedelta(minutes=90),
    "decimal": Decimal("0.10"),
    "uuid": UUID(int=1),
    "path": Path("a/b"),
    "enum": Colour.BLUE,
    "set": {3, 1, 2},
    "row": Row(1, date(2025, 1, 31), {"b", "a"}),
    "place": Place(1.5),
    "rows": [{"row": Row(1, date(2025, 1, 31))}, {"row": Row(2, 1j)}],  # type: ignore[arg-type]
}


class Typed(Bridge):
    """Takes and gives Python's own types."""

    name = "typed"

    @method
    async def give(self, ctx: Context, what: str) -> Any:
        """A value of GIVEN."""
        return GIVEN[what]

    @method
    async def show(self, ctx: Context) -> None:
        """Shows a row."""
        ctx.show(Data(Row(1, date(2025, 1, 31))))

    @method
    async def later(self, ctx: Context, when: datetime, by: timedelta) -> datetime:
        """A later time."""
        return when + by

    @method
    async def total(self, ctx: Context, amounts: list[Decimal]) -> Decimal:
        """The sum."""
        return sum(amounts, Decimal(0))

    @method
    async def oldest(self, ctx: Context, rows: list[Row]) -> Row:
        """The row with the earliest date."""
        return min(rows, key=lambda row: row.when)

    @method
    async def mixed(self, ctx: Context, colour: Colour, level: Level = Level.LOW) -> list[Any]:
        """Both, and their names."""
        return [colour, colour.name, level, level.name]

    @method
    async def both(self, ctx: Context, a: set[int], b: frozenset[int]) -> set[int]:
        """The members of both."""
        return a & b

    @method
    async def child(self, ctx: Context, folder: Path, name: str = "x") -> Path:
        """A path below another."""
        return folder / name

    @method
    async def moved(self, ctx: Context, place: Place, by: float) -> Place:
        """A place to the right."""
        return place._replace(x=place.x + by)

    @method
    async def days(self, ctx: Context, range: Range) -> list[str]:
        """The keys that were given, with the types of what they hold."""
        return [f"{key}: {type(value).__name__}" for key, value in sorted(range.items())]

    @method
    async def ask_date(self, ctx: Context, fn: Callback) -> str:
        """The year of the date that a function returns."""
        found: date = await ctx.invoke(fn, as_type=date)
        return str(found.year)

    @method
    async def tell_date(self, ctx: Context, fn: Callback) -> Any:
        """What a function makes of a date."""
        return await ctx.invoke(fn, date(2025, 1, 31), Row(1, date(2025, 1, 31)))
