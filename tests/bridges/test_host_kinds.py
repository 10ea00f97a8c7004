"""Host types as annotations: signature, JSON schema and what a method gets."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy
import pandas
import polars
import pydantic
import pytest

from llmspell_kernel import Bridge, Context, method, register_type
from llmspell_kernel.bridges._catalogue import signature
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.errors import ArgumentError, InternalError


class Mode(enum.Enum):
    A = "a"
    PAIR = (1, 2)


@dataclass
class Row:
    """A row.

    - when: its time
    """

    when: datetime
    note: str = ""


class Address(pydantic.BaseModel):
    street: str


class Person(pydantic.BaseModel):
    name: str
    home: Address


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


register_type(Money, to_plain=lambda money: money.cents, from_plain=Money)


class Typed(Bridge):
    """Takes host types."""

    name = "typed"

    @method
    async def take(
        self,
        ctx: Context,
        rows: list[Row],
        mode: Mode = Mode.A,
        at: Path | None = None,
        amount: Decimal = Decimal("1.5"),
        tags: Annotated[set[str], msgspec.Meta(max_length=2)] = frozenset(),  # type: ignore[assignment]
    ) -> Row:
        """Takes plain ones."""
        return rows[0]

    @method
    async def frames(
        self, ctx: Context, a: pandas.DataFrame, b: polars.DataFrame | None = None, c: numpy.ndarray | None = None
    ) -> pandas.DataFrame:
        """Takes frames."""
        return a

    @method
    async def person(self, ctx: Context, person: Person) -> Person:
        """Takes a model."""
        return person

    @method
    async def pay(self, ctx: Context, prices: dict[str, Money]) -> Money:
        """Takes a registered type."""
        return prices["a"]


TYPED = declare(Typed)


def bind(name: str, *args: Any) -> list[Any]:
    return TYPED.methods[name].bind(args)


def test_signatures_are_in_the_words_of_scripts() -> None:
    assert signature(TYPED, "take", "snake") == (
        "typed.take(rows: list[Row], mode?: 'a' | 'PAIR', at?: Path, amount?: Decimal, tags?: list[string]) -> Row"
    )
    assert signature(TYPED, "frames", "snake") == "typed.frames(a: list[object], b?: list[object], c?: list) -> list[object]"
    assert signature(TYPED, "pay", "snake") == "typed.pay(prices: object) -> Money"


def test_each_type_has_its_json_schema() -> None:
    schema = TYPED.methods["take"].schema
    assert schema["properties"]["rows"]["items"] == {"$ref": "#/$defs/Row"}
    assert schema["$defs"]["Row"]["properties"]["when"] == {"type": "string"}
    assert schema["$defs"]["Row"]["additionalProperties"] is False
    assert schema["properties"]["mode"] == {"enum": ["a", "PAIR"], "default": "a"}
    assert schema["properties"]["amount"] == {"type": "string", "format": "decimal", "default": "1.5"}
    assert schema["properties"]["tags"]["uniqueItems"] is True
    assert TYPED.methods["frames"].schema["properties"]["a"] == {"type": "array", "items": {"type": "object"}}


def test_a_models_schema_brings_its_definitions() -> None:
    schema = TYPED.methods["person"].schema
    assert schema["properties"]["person"]["properties"]["home"] == {"$ref": "#/$defs/Address"}
    assert schema["$defs"]["Address"]["properties"] == {"street": {"title": "Street", "type": "string"}}


def test_a_method_gets_instances() -> None:
    rows, mode, at, amount, tags = bind("take", [{"when": "2025-01-31T12:00:00"}], "PAIR", "a/b", "2.50", ["x", "x"])
    assert rows == [Row(datetime(2025, 1, 31, 12))]
    assert (mode, at, amount, tags) == (Mode.PAIR, Path("a/b"), Decimal("2.50"), {"x"})
    assert bind("person", {"name": "A", "home": {"street": "B"}}) == [Person(name="A", home=Address(street="B"))]
    assert bind("pay", {"a": 5})[0]["a"].cents == 5
    a, b, c = bind("frames", [{"x": 1}], [{"y": 2}], [[1, 2]])
    assert (a["x"].tolist(), b["y"].to_list(), c.tolist()) == ([1], [2], [[1, 2]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("take", [], "b"), "typed.take: argument 2 (mode) must be 'a' or 'PAIR', not 'b'"),
        (("take", [], "a", 1), "typed.take: argument 3 (at) must be a path as text, not a number"),
        (
            ("take", [], "a", None, None, ["a", "b", "c"]),
            "typed.take: argument 5 (tags) must be a list of strings with at most 2 items, not 3",
        ),
        (("frames", [1]), "typed.frames: argument 1 (a) must be a list of objects (item 1 is not an object)"),
        (("person", {"name": "A", "home": {}}), "typed.person: person.home.street does not fit: field required"),
        (("person",), "typed.person: argument 1 (person) is missing; it must be an object"),
        (("pay", {"a": None}), "typed.pay: prices.a must be a Money, not nothing"),
    ],
)
def test_a_misfit_names_its_place(call: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        bind(*call)
    assert caught.value.message == message


def test_a_class_that_nobody_registered_is_a_fault_of_the_bridge() -> None:
    async def take(self: Any, ctx: Context, what: complex) -> None:
        """Takes what no script has."""

    with pytest.raises(InternalError, match="complex is not a type that scripts can pass"):
        declare(type("Broken", (Bridge,), {"__doc__": "A bridge.", "name": "broken", "take": method(take)}))
