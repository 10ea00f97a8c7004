"""Keywords of our own mean what the library means by them, and write no more of a value than is read."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llmspell_kernel.services.schema.keywords import QUOTING
from llmspell_kernel.services.schema.quoting import MESSAGE_CHARS, quoted
from llmspell_kernel.services.schema.validation import Schema

SIMPLE: Any = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 1.5]), st.sampled_from(["", "a", "ab"]))
VALUES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)),
    max_leaves=5,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def _schemas(inner: Any) -> Any:
    alternatives = st.lists(inner, min_size=1, max_size=3)
    sizes = {name: st.integers(0, 2) for name in QUOTING if name[:3] in ("min", "max")}
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=2, unique=True)),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "const": VALUES,
            **dict.fromkeys(("anyOf", "oneOf"), alternatives),
            "not": inner,
            "contains": inner,
            "minContains": st.integers(0, 2),
            "maxContains": st.integers(0, 2),
            "items": inner,
            "properties": st.fixed_dictionaries({"a": inner}),
            **sizes,
        },
    )


SCHEMAS = st.recursive(st.one_of(st.booleans(), _schemas(st.booleans())), _schemas, max_leaves=4)


@given(SCHEMAS, VALUES)
def test_they_mean_what_the_library_means_by_them(schema: Any, value: Any) -> None:
    theirs = list(Draft202012Validator(schema).iter_errors(value))
    ours = Schema(schema).problems(value)
    assert bool(ours) == bool(theirs)
    if "oneOf" not in str(schema) and len(theirs) < 20:
        assert sorted(problem.message for problem in ours) == sorted(
            error.message for error in theirs if len(error.message) < MESSAGE_CHARS
        )


def test_the_place_of_what_may_not_be_there_is_told() -> None:
    assert [problem.path for problem in Schema({"properties": {"a": {"items": False}, "b": False}}).problems({"a": [], "b": 1})] == ["$.b"]


@pytest.mark.parametrize(
    "value", ["x" * 1_900_000, ["ab"] * 300_000, {str(number): number for number in range(100_000)}, [[["x" * 900_000]] * 2]]
)
def test_a_large_value_is_quoted_by_its_beginning(value: Any) -> None:
    started = time.process_time()
    told = quoted(value)
    assert len(told) == MESSAGE_CHARS and told[:-1] == repr(value)[: MESSAGE_CHARS - 1] and time.process_time() - started < 0.5


@pytest.mark.parametrize("value", [1, None, "a'b", [1, ["a"]], {"a": {"b": [True]}}, [], {}, 1.5])
def test_a_small_value_is_quoted_whole(value: Any) -> None:
    assert quoted(value) == repr(value)


LARGE_TEXT = "x" * 1_900_000
LARGE_LIST = ["a"] * 400_000


@pytest.mark.parametrize("value", [LARGE_TEXT, LARGE_LIST], ids=["text", "list"])
@pytest.mark.parametrize(
    "alternative",
    [
        {"type": "number"},
        {"enum": [1, "y"]},
        {"const": {}},
        {"not": {}},
        {"maxLength": 1, "maxItems": 1},
        {"oneOf": [{}, {}]},
        {"allOf": [False]},
        {"pattern": "y", "minItems": 1_000_000},
        False,
    ],
    ids=str,
)
@pytest.mark.parametrize("of", ["anyOf", "oneOf"])
def test_alternatives_write_no_large_value_once_for_each(of: str, alternative: Any, value: Any) -> None:
    checked = Schema({of: [alternative] * 100})
    tracemalloc.start()
    try:
        (problem,) = checked.problems(value)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
    assert len(problem.message) <= MESSAGE_CHARS


def test_the_names_of_properties_are_not_joined_for_each_key_that_is_none() -> None:
    known = {f"a{number}": {} for number in range(1_500)}
    checked, started = Schema({"items": {"anyOf": [{"additionalProperties": False, "properties": known}, True]}}), time.process_time()
    assert checked.problems([{"b": 1}] * 100) == []
    assert "'b' is not one of its properties: a0, a1, a10, " in str(
        Schema({"additionalProperties": False, "properties": known}).problems({"b": 1})
    )
    assert time.process_time() - started < 2
