"""One of each family of host types, with its plain form and the annotation that makes it again."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import numpy
import pandas
import polars
import pydantic


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Odd(enum.Enum):
    PAIR = (1, 2)
    HALF = 0.5


class Bits(enum.Flag):
    A = 1
    B = 2


@dataclass
class Row:
    id: int
    when: datetime
    tags: set[str] = field(default_factory=set)


@dataclass
class Table:
    name: str
    rows: list[Row]


class Options(TypedDict, total=False):
    limit: int
    until: date


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Event(msgspec.Struct):
    at: datetime
    colour: Colour = Colour.RED


class Person(pydantic.BaseModel):
    name: str
    born: date
    friends: list[Person] = []
    shoe_size: int = 40


NOON = datetime(2025, 1, 31, 12, 0, 0, 250000, tzinfo=UTC)
NOON_TEXT = "2025-01-31T12:00:00.250000+00:00"

BOTH_WAYS: Mapping[str, tuple[Any, Any, Any]] = {
    "datetime": (NOON, NOON_TEXT, datetime),
    "naive datetime": (datetime(2025, 1, 31), "2025-01-31T00:00:00", datetime),
    "date": (date(2025, 1, 31), "2025-01-31", date),
    "time": (time(12, 30), "12:30:00", time),
    "timedelta": (timedelta(days=1, seconds=3600), "P1DT3600S", timedelta),
    "decimal": (Decimal("1.50"), "1.50", Decimal),
    "uuid": (UUID(int=7), "00000000-0000-0000-0000-000000000007", UUID),
    "path": (Path("a/b"), "a/b", Path),
    "enum of text": (Colour.BLUE, "blue", Colour),
    "enum of integers": (Level.HIGH, 2, Level),
    "enum of other values": (Odd.PAIR, "PAIR", Odd),
    "enum of numbers": (Odd.HALF, 0.5, Odd),
    "flags": (Bits.A | Bits.B, 3, Bits),
    "set": ({3, 1, 2}, [1, 2, 3], set[int]),
    "frozenset": (frozenset("ba"), ["a", "b"], frozenset[str]),
    "data class": (
        Table("t", [Row(1, NOON, {"x"})]),
        {"name": "t", "rows": [{"id": 1, "when": NOON_TEXT, "tags": ["x"]}]},
        Table,
    ),
    "typed dict": ({"limit": 1, "until": date(2025, 1, 31)}, {"limit": 1, "until": "2025-01-31"}, Options),
    "named tuple": (Point(1.5), {"x": 1.5, "y": 0.0}, Point),
    "struct": (Event(NOON, Colour.BLUE), {"at": NOON_TEXT, "colour": "blue"}, Event),
    "pydantic model": (
        Person(name="A", born=date(2000, 1, 2), friends=[Person(name="B", born=date(2000, 1, 3))]),
        {
            "name": "A",
            "born": "2000-01-02",
            "friends": [{"name": "B", "born": "2000-01-03", "friends": [], "shoe_size": 40}],
            "shoe_size": 40,
        },
        Person,
    ),
    "list of data classes": ([Row(1, NOON)], [{"id": 1, "when": NOON_TEXT, "tags": []}], list[Row]),
    "numpy array": (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]], numpy.ndarray),
    "pandas frame": (
        pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        pandas.DataFrame,
    ),
    "pandas series": (pandas.Series([1.5, 2.5]), [1.5, 2.5], pandas.Series),
    "polars frame": (polars.DataFrame({"a": [1, None], "b": ["x", "y"]}), [{"a": 1, "b": "x"}, {"a": None, "b": "y"}], polars.DataFrame),
    "polars series": (polars.Series([1, 2]), [1, 2], polars.Series),
}

ONE_WAY: Mapping[str, tuple[Any, Any]] = {
    "numpy integer": (numpy.int64(3), 3),
    "numpy float": (numpy.float32(0.5), 0.5),
    "numpy bool": (numpy.bool_(True), True),
    "numpy text": (numpy.str_("é"), "é"),
    "numpy long float": (numpy.longdouble(0.5), 0.5),
    "numpy date": (numpy.datetime64("2025-01-31T12:00"), "2025-01-31T12:00"),
    "numpy not a time": (numpy.datetime64("NaT"), None),
    "numpy dates": (numpy.array(["2025-01-31", "NaT"], dtype="datetime64[D]"), ["2025-01-31", None]),
    "numpy durations": (numpy.array([3600, "NaT"], dtype="timedelta64[s]"), ["PT3600S", None]),
    "numpy objects": (numpy.array([date(2025, 1, 31), None, {"a": 1}], dtype=object), ["2025-01-31", None, {"a": 1}]),
    "numpy records": (numpy.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]), [{"a": 1, "b": 2.5}]),
    "numpy scalar array": (numpy.array(7), 7),
    "pandas timestamp": (pandas.Timestamp("2025-01-31T12:00:00"), "2025-01-31T12:00:00"),
    "pandas not a time": (pandas.NaT, None),
    "pandas not available": (pandas.NA, None),
    "pandas frame with gaps": (
        pandas.DataFrame({"n": [1.0, float("nan")], "t": pandas.to_datetime(["2025-01-31", None]), "c": pandas.Categorical(["x", None])}),
        [{"n": 1.0, "t": "2025-01-31T00:00:00", "c": "x"}, {"n": None, "t": None, "c": None}],
    ),
    "pandas frame with a nullable column": (pandas.DataFrame({"n": pandas.array([1, None], dtype="Int64")}), [{"n": 1}, {"n": None}]),
    "pandas frame with a named index": (
        pandas.DataFrame({"a": [1]}, index=pandas.Index(["k"], name="key")),
        [{"key": "k", "a": 1}],
    ),
    "pandas frame with an unnamed index": (pandas.DataFrame({"a": [1]}, index=["k"]), [{"a": 1}]),
    "pandas frame without columns": (pandas.DataFrame(index=[0, 1]), [{}, {}]),
    "pandas frame without rows": (pandas.DataFrame({"a": []}), []),
    "pandas index": (pandas.Index(["a", "b"]), ["a", "b"]),
    "polars dates and decimals": (
        polars.DataFrame({"d": [date(2025, 1, 31)], "m": [Decimal("1.50")], "l": [[1, 2]], "f": [float("nan")]}),
        [{"d": "2025-01-31", "m": "1.50", "l": [1, 2], "f": None}],
    ),
    "polars series with gaps": (polars.Series([1.5, float("nan"), None]), [1.5, None, None]),
    "tagged struct": (msgspec.defstruct("Tagged", [("a", int)], tag="t")(a=1), {"type": "t", "a": 1}),
    "data class in a tuple in a set's place": ((Point(1.0, 2.0),), [{"x": 1.0, "y": 2.0}]),
}


def equal(found: Any, expected: Any) -> bool:
    """Equal and of one type; arrays and frames have no plain equality."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, numpy.ndarray):
        return bool(numpy.array_equal(found, expected))
    if isinstance(expected, (pandas.DataFrame, pandas.Series, polars.DataFrame, polars.Series)):
        return bool(found.equals(expected))
    return bool(found == expected)
