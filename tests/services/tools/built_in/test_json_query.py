"""The tool `json_query`."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.errors import LimitError, ScriptError

from .using import problems, use

SHOP = {"items": [{"name": "pen", "price": 2}, {"name": "book", "price": 12}, {"name": "lamp", "price": 30}], "open": True}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("items[?price > `3`].name", ["book", "lamp"]),
        ("sum(items[].price)", 44),
        ("max_by(items, &price).name", "lamp"),
        ("{count: length(items), first: items[0].name}", {"count": 3, "first": "pen"}),
        ("items[::-1].name | join(', ', @)", "lamp, book, pen"),
        ("closed", None),
    ],
)
def test_a_query_finds_what_jmespath_says(query: str, value: Any) -> None:
    assert use("json_query", data=SHOP, query=query) == value


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("items[", "Incomplete expression"),
        ("nothing(@)", "Unknown function: nothing()"),
        ("sum(items)", "In function sum(), invalid type"),
        ("items[::0]", "slice step cannot be zero"),
        ("[&name]", "is no value"),
        ("`1e999`", "a number that is infinite"),
        ("{a: [to_number('1e999')]}", "a number that is infinite"),
    ],
)
def test_what_is_wrong_with_a_query_is_told(query: str, says: str) -> None:
    with pytest.raises(ScriptError) as caught:
        use("json_query", data=SHOP, query=query)
    assert caught.value.code == "query" and says in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "query",
    [
        "[@,@]|" * 60 + "@",
        "[@,@][]|" * 100 + "@",
        "big" + f"|[{','.join('@' * 200)}][]" * 2,
        "to_string(" * 60 + "@" + ")" * 60,
        "join(to_string(big), map(&'a', big))",
        "map(&map(&@, [@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@,@]), big)",
        "{a: @, b: @}|" * 50 + "@",
    ],
    ids=["lists", "flattened", "wide", "texts", "joined", "mapped", "objects"],
)
def test_a_query_that_multiplies_its_data_meets_a_limit(query: str) -> None:
    with pytest.raises(LimitError, match="steps"):
        use("json_query", data={**SHOP, "big": list(range(100_000))}, query=query)


@pytest.mark.parametrize("query", ["!" * 900 + "@", "a." * 400 + "a" + "[?" * 30, "@" + "[0" * 300])
def test_a_query_that_is_nested_deep_or_never_closed_is_an_error(query: str) -> None:
    with pytest.raises((LimitError, ScriptError)):
        use("json_query", data=SHOP, query=query)


def test_a_query_that_is_too_long_does_not_fit_the_schema() -> None:
    assert [problem.path for problem in problems("json_query", {"data": 1, "query": "@|" * 500 + "@"})] == ["$.query"]
