"""The short form of the schema of an object: `{city = "string", days = {type = "integer", default = 1}, unit = "string?"}`.

Rules
- A name is required unless its type ends in `?` or its schema has a default; nothing else may be given.
- What holds no keyword that says anything about a value is the short form: as a schema it would let everything pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_kernel.errors import ArgumentError, nearest

TYPES = ("string", "number", "integer", "boolean", "array", "object")
SHOWN_CHARS = 80
_LISTS = ("required", "enum", "examples")
_SAYS_SOMETHING = frozenset(
    """
    $ref $dynamicRef additionalProperties allOf anyOf const contains dependentRequired dependentSchemas enum exclusiveMaximum
    exclusiveMinimum format if items maxItems maxLength maxProperties maximum minItems minLength minProperties minimum multipleOf not oneOf
    pattern patternProperties prefixItems propertyNames required then unevaluatedItems unevaluatedProperties uniqueItems
    """.split()  # noqa: SIM905  # in three lines, not in forty
)


def document_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema that a script gave, spelled out where it is the short form.  Raises ArgumentError.

    A keyword is one where it holds what a schema has there, else it is a name: `{format = "string"}` is an object with a format.
    """
    kind, properties = given.get("type"), given.get("properties")
    is_schema = (
        not given
        or any(key in _SAYS_SOMETHING and not _is_type(of) for key, of in given.items())
        or (isinstance(kind, list) or kind in (*TYPES, "null"))
        or (isinstance(properties, Mapping) and all(isinstance(of, (Mapping, bool)) for of in properties.values()))
    )
    return with_lists(given) if is_schema else spelled_out(given)


def _is_type(of: Any) -> bool:
    return isinstance(of, str) and of.removesuffix("?") in TYPES


def spelled_out(given: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required = []
    for name, of in given.items():
        if isinstance(of, str):
            properties[name] = {"type": type_of(name, of.removesuffix("?"))}
            optional = of.endswith("?")
        elif isinstance(of, Mapping):
            properties[name] = with_lists(of)
            optional = "default" in of
        else:
            raise ArgumentError(f"{name[:SHOWN_CHARS]!r} must be a type's name or a schema, not {type(of).__name__}")
        if not optional:
            required.append(name)
    # sorted: a script's tables have no order, and models are to be told the same again
    return {"type": "object", "properties": properties, "required": sorted(required), "additionalProperties": False}


def type_of(name: str, word: str) -> str:
    if word not in TYPES:
        shown = word[:SHOWN_CHARS]
        raise ArgumentError(f"{name[:SHOWN_CHARS]!r}: there is no type '{shown}'{nearest(shown, TYPES)}")
    return word


def with_lists(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Lua's `{}` arrives as an object, also where a schema has lists."""
    made: dict[str, Any] = {}
    for key, of in schema.items():
        if key in _LISTS and of == {}:
            made[key] = []
        elif key in ("properties", "$defs", "patternProperties") and isinstance(of, Mapping):
            made[key] = {name: with_lists(inner) if isinstance(inner, Mapping) else inner for name, inner in of.items()}
        elif key in ("items", "additionalProperties") and isinstance(of, Mapping):
            made[key] = with_lists(of)
        else:
            made[key] = of
    return made
