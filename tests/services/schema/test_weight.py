"""Only a check that is known to be short is made on the loop."""

from __future__ import annotations

import time
from typing import Any

import pytest

from llmspell_kernel.services.schema.defaults import filled
from llmspell_kernel.services.schema.validation import Schema
from llmspell_kernel.services.schema.weight import MAX_ITEMS, MAX_WORK, Weight, parts

FIELDS = {f"p{number}": {"type": "integer", "default": 1} for number in range(MAX_ITEMS)}
SEARCH = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "what to look for", "minLength": 1},
        "limit": {"type": "integer", "default": 10, "minimum": 1, "maximum": 50},
        "kinds": {"type": "array", "items": {"enum": ["page", "file", "mail"]}},
    },
    "required": ["query"],
    "additionalProperties": False,
}


def test_a_call_of_an_ordinary_tool_is_little() -> None:
    assert Weight(SEARCH).is_little({"query": "tea", "limit": 3, "kinds": ["page", "file"]})
    assert Weight(SEARCH, {"type": "string"}, None).is_little("a text")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"properties": FIELDS}}, [{}] * 1_300),
        ({"items": {"properties": {"b": {"items": {"type": "integer"}, "default": [1] * 700}}}}, [{}]),
        ({"items": {"not": {"anyOf": [{"type": "array"}] * 100}}}, [1] * 980),
        ({"items": {"type": "integer"}}, [1] * MAX_WORK),
        ({"items": {"required": [f"r{number}" for number in range(3_000)]}}, [{}, {}]),
        ({"items": {"allOf": [{}]}}, [1]),
    ],
)
def test_a_schema_that_adds_to_a_value_or_looks_at_it_more_than_once_makes_no_little_check(schema: Any, value: Any) -> None:
    assert not Weight(schema).is_little(value)


def test_what_is_little_takes_some_milliseconds_at_the_most() -> None:
    schema = {"items": {"properties": FIELDS}}
    most = [{}] * next(number for number in range(MAX_WORK) if not Weight(schema).is_little([{}] * (number + 1)))
    assert len(most) > 10
    checked, started = Schema(schema), time.process_time()
    assert checked.problems(filled(most, schema)) == []
    assert time.process_time() - started < 0.2


def test_parts_are_counted_no_further_than_they_are_asked_for() -> None:
    assert parts({"a": [1, 2, {"b": None}]}, 100) == 6
    started = time.process_time()
    assert parts([[0] * 10] * 1_000_000, 50) <= 70
    assert time.process_time() - started < 0.5
