"""Which checks of arguments are made at once: a thread would take longer than a short one, and a long one would hold everything up."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.services.agents.arguments import QUICK_CHARS, Arguments
from llmspell_kernel.services.agents.definition import ToolEntry

SUM = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number", "default": 1}}, "required": ["a"]}


def is_quick(schema: dict[str, Any], arguments: dict[str, Any]) -> bool:
    return Arguments(ToolEntry("own", "own", parameters=schema)).is_quick(arguments)


def test_those_of_an_ordinary_tool_are() -> None:
    assert is_quick(SUM, {"a": 1, "b": 2})
    assert is_quick({**SUM, "$schema": "https://json-schema.org/draft/2020-12/schema"}, {"a": 1})


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        (SUM, {"a": "x" * QUICK_CHARS}),
        ({**SUM, "description": "x" * QUICK_CHARS}, {"a": 1}),
        ({"properties": {"a": {"items": {"not": {"anyOf": [{"type": "array"}] * 100}}}}}, {"a": [1] * 980}),
        ({"properties": {"a": {"items": {"properties": {str(n): {"default": 1} for n in range(50)}}}}}, {"a": [{}] * 600}),
        ({"patternProperties": {"^a+$": {}}}, {"a": 1}),
        ({"properties": {"a": {"uniqueItems": True}}}, {"a": [1]}),
        ({"$ref": "#"}, {}),
    ],
)
def test_those_that_may_take_long_are_not(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    assert not is_quick(schema, arguments)
