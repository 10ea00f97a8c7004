"""What a tool takes: the JSON Schema of an object, or the short form `{city = "string", days = {type = "integer", default = 1}}`.

Rules
- A schema has `type = "object"`, or `properties` that hold schemas.  Anything else is the short form: names, each with a type's name or a schema.
- In the short form a parameter is required unless its type ends in `?` or its schema has a default; nothing else may be given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_kernel.errors import ArgumentError, nearest

TYPES = ("string", "number", "integer", "boolean", "array", "object")
_LISTS = ("required", "enum", "examples")
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
_SHOWN_CHARS = 80


def parameters_of(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The whole schema.  Raises ArgumentError that says what cannot be one."""
    if not given:
        return {"type": "object", "properties": {}}
    if _is_schema(given):
        kind = given.get("type", "object")
        if kind != "object":
            raise ArgumentError(f"a tool takes an object, so its parameters must have type = 'object', not {str(kind)[:_SHOWN_CHARS]!r}")
        return {"type": "object", **_with_lists(given)}
    if given.get("type") in TYPES and all(key in _OF_SCHEMAS for key in given) and len(given) > 1:
        raise ArgumentError(
            f"a tool takes an object: write what it takes by name, as in {{type = 'object', properties = {{text = {{type = '{given['type']}'}}}}}}"
        )
    return _spelled_out(given)


def returns_of(given: Mapping[str, Any] | str | None) -> dict[str, Any] | None:
    """The schema of a tool's result; a type's name will do."""
    if isinstance(given, str):
        return {"type": _type_of("returns", given)}
    return None if given is None else _with_lists(given)


def _is_schema(given: Mapping[str, Any]) -> bool:
    if given.get("type") == "object":
        return True
    properties = given.get("properties")
    return "type" not in given and isinstance(properties, Mapping) and all(isinstance(of, (Mapping, bool)) for of in properties.values())


def _spelled_out(given: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required = []
    for name, of in given.items():
        if isinstance(of, str):
            properties[name] = {"type": _type_of(name, of.removesuffix("?"))}
            optional = of.endswith("?")
        elif isinstance(of, Mapping):
            properties[name] = _with_lists(of)
            optional = "default" in of
        else:
            raise ArgumentError(f"parameters: {name[:_SHOWN_CHARS]!r} must be a type's name or a schema, not {type(of).__name__}")
        if not optional:
            required.append(name)
    # sorted: a script's tables have no order, and models are to be told the same again
    return {"type": "object", "properties": properties, "required": sorted(required), "additionalProperties": False}


def _type_of(name: str, word: str) -> str:
    if word not in TYPES:
        shown = word[:_SHOWN_CHARS]
        raise ArgumentError(f"parameters: {name[:_SHOWN_CHARS]!r}: there is no type '{shown}'{nearest(shown, TYPES)}")
    return word


def _with_lists(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Lua's `{}` arrives as an object, also where a schema has lists."""
    made: dict[str, Any] = {}
    for key, of in schema.items():
        if key in _LISTS and of == {}:
            made[key] = []
        elif key in ("properties", "$defs", "patternProperties") and isinstance(of, Mapping):
            made[key] = {name: _with_lists(inner) if isinstance(inner, Mapping) else inner for name, inner in of.items()}
        elif key in ("items", "additionalProperties") and isinstance(of, Mapping):
            made[key] = _with_lists(of)
        else:
            made[key] = of
    return made
