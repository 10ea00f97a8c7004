"""A value with a hundred thousand wrong places costs about what one with a few costs."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from llmspell_kernel.bridges._checking import converted
from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.host_types.records import FIRST_ITEMS, MAX_PLACES


class Row(pydantic.BaseModel):
    a: int


class Rows(pydantic.BaseModel):
    rows: list[Row]


class Lists(pydantic.BaseModel):
    rows: list[list[int]]


WRONG = {"a": "x"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"rows": [WRONG] * 100_000}, r"v\.rows\[item 1\]\.a does not fit: .*, as in 100000 places in all"),
        ({"rows": [{"a": 1}] * 5 + [WRONG] * 60_000}, r"v\.rows\[item 6\]\.a does not fit: .*, as in 60000 places in all"),
        ({"rows": [{"a": 1}] * FIRST_ITEMS + [WRONG] * 60_000}, "v does not fit in 60000 places; give fewer items to see where"),
        ({"rows": [{"a": 1}] * FIRST_ITEMS + [WRONG] * MAX_PLACES}, rf"v\.rows\[item {FIRST_ITEMS + 1}\]\.a does not fit: [^,]*, unable"),
    ],
)
def test_the_first_place_and_their_number_are_told_and_no_more_are_gathered(value: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        converted(value, Rows, "v")


def test_empty_tables_in_places_of_lists_are_lists_up_to_that_many() -> None:
    assert converted({"rows": [{}] * MAX_PLACES}, Lists, "v") == Lists(rows=[[]] * MAX_PLACES)
    with pytest.raises(ArgumentError, match="should be a valid list, as in"):
        converted({"rows": [{}] * (MAX_PLACES + 1)}, Lists, "v")
