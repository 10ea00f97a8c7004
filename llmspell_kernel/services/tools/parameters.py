"""What a tool takes: the JSON Schema of an object, or the short form `{city = "string", days = {type = "integer", default = 1}}`.

Rules
- A schema has `type = "object"`, or `properties` that hold schemas.  Anything else is the short form: names, each with a type's name or a schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_kernel.errors import ArgumentError

from ..schema.short_form import SHOWN_CHARS, TYPES, spelled_out, type_of, with_lists

_OF_SCHEMAS = (
    "type",
    "description",
    "title",
    "enum",
    "items",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "pattern",
    "format",
    "default",
)


def parameters_of(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The whole schema.  Raises ArgumentError that says what cannot be one."""
    if not given:
        return {"type": "object", "properties": {}}
    if _is_schema(given):
        kind = given.get("type", "object")
        if kind != "object":
            raise ArgumentError(f"a tool takes an object, so its parameters must have type = 'object', not {str(kind)[:SHOWN_CHARS]!r}")
        return {"type": "object", **with_lists(given)}
    if given.get("type") in TYPES and all(key in _OF_SCHEMAS for key in given) and len(given) > 1:
        raise ArgumentError(
            f"a tool takes an object: write what it takes by name, as in {{type = 'object', properties = {{text = {{type = '{given['type']}'}}}}}}"
        )
    return spelled_out(given)


def returns_of(given: Mapping[str, Any] | str | None) -> dict[str, Any] | None:
    """The schema of a tool's result; a type's name will do."""
    if isinstance(given, str):
        return {"type": type_of("returns", given)}
    return None if given is None else with_lists(given)


def _is_schema(given: Mapping[str, Any]) -> bool:
    if given.get("type") == "object":
        return True
    properties = given.get("properties")
    return "type" not in given and isinstance(properties, Mapping) and all(isinstance(of, (Mapping, bool)) for of in properties.values())
