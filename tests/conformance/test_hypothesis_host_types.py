"""Generated values of Python's own types go into every engine as plain data, and come back as what they were."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell_kernel.engines._registry import discover
from llmspell_kernel.errors import ValueCrossingError
from llmspell_kernel.host_types._crossing import to_plain
from llmspell_kernel.values import INT_MAX, INT_MIN

from .expectation import same
from .test_hypothesis_values import NORMALISED
from .typed import Colour, Level, Place
from .world import World

ENGINES = [engine.name for engine in discover()]
FEW = settings(max_examples=40, deadline=None, derandomize=True, database=None)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=12)
DATETIMES = st.one_of(st.datetimes(), st.datetimes(timezones=st.just(UTC)))


@dataclass(frozen=True)
class Part:
    when: datetime
    count: int
    note: str | None = None


@dataclass(frozen=True)
class Whole:
    day: date
    clock: time
    span: timedelta
    amount: Decimal
    key: UUID
    path: PurePosixPath
    colour: Colour
    level: Level
    place: Place
    data: bytes
    tags: frozenset[str] = frozenset()
    parts: list[Part] = field(default_factory=list)
    by_name: dict[str, Part] = field(default_factory=dict)


PARTS = st.builds(Part, DATETIMES, st.integers(INT_MIN, INT_MAX), st.one_of(st.none(), TEXT))
WHOLES = st.builds(
    Whole,
    st.dates(),
    st.times(),
    st.timedeltas(timedelta(days=-10_000), timedelta(days=10_000)),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.uuids(),
    st.text(string.ascii_letters + "/. é", min_size=1, max_size=12).map(PurePosixPath),
    st.sampled_from(Colour),
    st.sampled_from(Level),
    st.builds(Place, FINITE, FINITE),
    st.binary(max_size=12),
    st.frozensets(TEXT, max_size=3),
    st.lists(PARTS, max_size=3),
    st.dictionaries(TEXT, PARTS, max_size=3),
)
COLUMNS = st.fixed_dictionaries(
    {
        "number": st.integers(-(2**53), 2**53),
        "text": TEXT,
        "truth": st.booleans(),
        "part": st.integers(-(10**6), 10**6).map(lambda n: n + 0.5),
    }
)


async def there_and_back(world: World, engine: str, value: Any, as_type: Any) -> Any:
    await world.session.set("x", value, engine=engine, state="generated")
    return await world.session.get("x", engine=engine, state="generated", as_type=as_type)


@pytest.mark.parametrize("engine", ENGINES)
@FEW
@given(value=WHOLES)
def test_a_data_class_comes_back_as_itself(world: World, engine: str, value: Whole) -> None:
    assert world.run(there_and_back(world, engine, value, Whole)) == value


@pytest.mark.parametrize("engine", ENGINES)
@FEW
@given(value=WHOLES)
def test_a_script_sees_plain_data(world: World, engine: str, value: Whole) -> None:
    echo = {"lua": "probe.echo(x)", "javascript": "await probe.echo(x)"}[engine]
    outcome = world.run(world.session.run(echo, engine=engine, state="generated", inputs={"x": value}))
    assert outcome.error is None, repr(outcome.error)
    assert same(outcome.values, [NORMALISED[engine](to_plain(value))])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("library", [pandas, polars])
@FEW
@given(rows=st.lists(COLUMNS, min_size=1, max_size=5))
def test_a_frame_comes_back_as_itself(world: World, engine: str, library: Any, rows: list[dict[str, Any]]) -> None:
    frame = library.DataFrame(rows)
    found = world.run(there_and_back(world, engine, frame, library.DataFrame))
    assert found[list(frame.columns)].equals(frame)  # a Lua table has no order


@pytest.mark.parametrize("engine", ENGINES)
@FEW
@given(
    before=TEXT,
    after=TEXT,
    code=st.integers(0xD800, 0xDFFF),
    way=st.lists(st.one_of(st.integers(0, 3), st.sampled_from("abc")), max_size=4),
)
def test_a_lone_surrogate_is_an_error_that_names_its_place(
    world: World, engine: str, before: str, after: str, code: int, way: list[int | str]
) -> None:
    value: Any = before + chr(code) + after
    for step in reversed(way):
        value = {step: value} if isinstance(step, str) else [*[0] * step, value]
    path = "x" + "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in way)
    with pytest.raises(ValueCrossingError, match="lone surrogate") as caught:
        world.run(world.session.set("x", value, engine=engine, state="generated"))
    assert caught.value.path == path


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(depth=st.integers(50, 64), width=st.integers(5_000, 20_000), objects=st.booleans())
def test_deep_and_wide_values_come_back(world: World, engine: str, depth: int, width: int, objects: bool) -> None:
    deep: Any = [1]
    for _ in range(depth - 1):
        deep = {"a": deep} if objects else [deep]
    wide = {f"k{number}": number for number in range(width)} if objects else list(range(width))
    for value in (deep, wide):
        assert world.run(there_and_back(world, engine, value, Any)) == value
    with pytest.raises(ValueCrossingError, match="nested deeper than 64"):
        world.run(world.session.set("x", _wrapped(deep, 65 - depth), engine=engine, state="generated"))


def _wrapped(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value
