"""How much work it is at the most to hold a value against a schema: a little is done at once, and the rest in a thread.

Rule: only what is known to be little counts as that.  Schema and value come from scripts, models and servers, and on the loop nothing else goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_WORK = 5_000
"""Parts of the schema times parts of the value: some milliseconds at the worst, and for arguments of ordinary tools some hundredths of one."""
MAX_ITEMS = 50
_WORDS = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "default", "description", "title", "examples"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "$schema"),
}


class Weight:
    """What checks by some schemas can take."""

    def __init__(self, *schemas: Any) -> None:
        self._parts = parts(list(schemas), MAX_WORK)
        self._is_light = all(map(is_light, schemas))

    def is_little(self, value: Any) -> bool:
        """Is the check of such a value so short that a thread for it would take as long?"""
        return self._is_light and self._parts * parts(value, MAX_WORK // self._parts + 1) <= MAX_WORK


def is_light(schema: Any) -> bool:
    """Is each part of a value, and of what defaults make of it, held against one part of the schema at the most?"""
    if not isinstance(schema, Mapping):
        return True
    if not schema.keys() <= _WORDS or len(schema.get("enum", ())) > MAX_ITEMS or _adds_much(schema.get("default")):
        return False
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping) or len(properties) > MAX_ITEMS:
        return False
    return all(map(is_light, [*properties.values(), schema.get("items"), schema.get("additionalProperties")]))


def _adds_much(default: Any) -> bool:
    """It would be checked itself, as often as it is put in."""
    return isinstance(default, (list, dict)) and bool(default)


def parts(value: Any, most: int) -> int:
    """Lists, objects, texts and numbers in it, counted until there are more than `most`."""
    count, left = 0, [value]
    while left and count <= most:
        one = left.pop()
        count += 1
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list):
            left += one
    return count
