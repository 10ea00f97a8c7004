"""What goes into a tool and what comes out of it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError, ScriptError
from llmspell_kernel.services.schema.weight import MAX_ITEMS, is_light
from llmspell_kernel.services.tools.checks import LIGHT_BYTES, Checks, with_arrays
from llmspell_kernel.services.tools.parameters import parameters_of, returns_of
from llmspell_kernel.services.tools.tool import ToolSpec
from llmspell_kernel.services.tools.tool_names import as_name, check_name, is_name


@pytest.mark.parametrize(
    ("given", "properties", "required"),
    [
        (None, {}, None),
        ({}, {}, None),
        ({"city": "string", "days": "integer?"}, {"city": {"type": "string"}, "days": {"type": "integer"}}, ["city"]),
        ({"days": {"type": "integer", "default": 1}}, {"days": {"type": "integer", "default": 1}}, []),
        ({"type": "string", "name": "string"}, {"type": {"type": "string"}, "name": {"type": "string"}}, ["name", "type"]),
        ({"type": "object", "properties": {"a": {}}, "required": {}}, {"a": {}}, []),
        ({"properties": {"a": {"enum": {}}}}, {"a": {"enum": []}}, None),
    ],
)
def test_both_forms_of_parameters_are_the_schema_of_an_object(given: Any, properties: Any, required: Any) -> None:
    made = parameters_of(given)
    assert (made["type"], made["properties"], made.get("required")) == ("object", properties, required)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"city": "strin"}, "there is no type 'strin'; did you mean 'string'"),
        ({"city": 1}, "'city' must be a type's name or a schema, not int"),
        ({"type": "string", "description": "a city"}, "a tool takes an object"),
        ({"type": "array", "items": {}}, "a tool takes an object"),
    ],
)
def test_what_are_no_parameters_is_told(given: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        parameters_of(given)


def test_a_types_name_will_do_for_a_result() -> None:
    assert returns_of("integer") == {"type": "integer"} and returns_of(None) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [("getWeather", "get_weather"), ("HTTPGet", "httpget"), (" a--b ", "a_b"), ("9", ""), ("é", ""), ("x" * 200, "x" * 64)],
)
def test_the_nearest_name_that_models_can_say(text: str, name: str) -> None:
    assert as_name(text) == name
    assert not name or is_name(name)
    with pytest.raises(ScriptError, match=f"'{name}' would do" if name else "cannot name a tool"):
        check_name(text)


def test_empty_objects_are_lists_where_the_schema_says_so_at_any_depth() -> None:
    schema = {
        "properties": {"a": {"type": "array"}, "b": {"items": {"type": "array"}}, "c": {"type": "object"}},
        "additionalProperties": {"type": "array"},
    }
    assert with_arrays({"a": {}, "b": [{}], "c": {}, "d": {}}, schema) == {"a": [], "b": [[]], "c": {}, "d": []}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"pattern": "(a|a)*$"}}},
        {"$ref": "#/$defs/a"},
        {"items": {"uniqueItems": True}},
        {"properties": {str(n): {} for n in range(MAX_ITEMS + 1)}},
        {"enum": [*range(MAX_ITEMS + 1)]},
        {"additionalProperties": {"anyOf": []}},
        {"items": {"not": {"type": "string"}}},
        {"default": [1, 2]},
    ],
)
def test_a_schema_that_can_ask_for_more_than_its_value_is_not_light(schema: Any) -> None:
    assert not is_light({"type": "object", "properties": {"x": schema}})


@pytest.mark.parametrize(("size", "extra", "apart"), [(1, {}, False), (LIGHT_BYTES, {}, True), (1, {"pattern": "a"}, True)])
def test_what_may_take_long_is_checked_in_a_thread(size: int, extra: dict[str, Any], apart: bool) -> None:
    spec = ToolSpec("one", "", {"type": "object", "properties": {"a": {"type": "string", **extra}}})
    checks, seen = Checks(spec), []

    def check(value: Any) -> Any:
        seen.append(threading.current_thread() is threading.main_thread())
        return checks.arguments(value)

    checks.check_schemas()
    asyncio.run(checks.apart(check, {"a": "a" * size}))
    assert seen == [not apart]
