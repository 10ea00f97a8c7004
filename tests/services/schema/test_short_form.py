"""What a script may give for a schema: a schema, or its short form, and never something that lets everything pass unnoticed."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services.schema.short_form import document_of

SCHEMAS = [
    {},
    {"type": "string"},
    {"type": ["string", "null"]},
    {"type": "null"},
    {"type": "object", "properties": {"a": {"type": "string"}}},
    {"properties": {"a": {}, "b": True}},
    {"items": {"type": "integer"}},
    {"enum": ["a", "b"]},
    {"const": 5},
    {"anyOf": [{"type": "string"}]},
    {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
    {"minimum": 3, "description": "a number"},
    {"format": "date", "title": "a day"},
]
SHORT: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"name": "string"}, {"name": {"type": "string"}}, ["name"]),
    ({"b": "integer", "a": "string?"}, {"a": {"type": "string"}, "b": {"type": "integer"}}, ["b"]),
    ({"n": {"type": "integer", "default": 1}}, {"n": {"type": "integer", "default": 1}}, []),
    # names that a schema knows, too
    ({"format": "string", "items": "array?"}, {"format": {"type": "string"}, "items": {"type": "array"}}, ["format"]),
    ({"type": "string?"}, {"type": {"type": "string"}}, []),
    (
        {"title": "string", "description": "string"},
        {"title": {"type": "string"}, "description": {"type": "string"}},
        ["description", "title"],
    ),
    ({"properties": "object"}, {"properties": {"type": "object"}}, ["properties"]),
]


@pytest.mark.parametrize("given", SCHEMAS, ids=str)
def test_a_schema_stays_as_it_is(given: dict[str, Any]) -> None:
    assert document_of(given) == given


@pytest.mark.parametrize(("given", "properties", "required"), SHORT, ids=lambda value: str(value))
def test_the_short_form_is_spelled_out(given: dict[str, Any], properties: dict[str, Any], required: list[str]) -> None:
    assert document_of(given) == {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "sting"}, "'name': there is no type 'sting'; did you mean 'string'?"),
        ({"name": 5}, "'name' must be a type's name or a schema, not int"),
        ({"description": "a person", "title": "Person"}, "'description': there is no type 'a person'"),
    ],
)
def test_what_is_neither_is_told_by_name(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        document_of(given)
    assert told in caught.value.message


def test_the_lists_of_a_schema_that_lua_wrote_empty_are_lists() -> None:
    given = {"type": "object", "required": {}, "properties": {"a": {"enum": {}}}}
    assert document_of(given) == {"type": "object", "required": [], "properties": {"a": {"enum": []}}}
