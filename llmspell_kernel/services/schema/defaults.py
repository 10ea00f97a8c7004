"""The defaults of a JSON Schema, filled in where a value has nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def filled(value: Any, schema: Any) -> Any:
    """A copy of the value with the `default` of each property that it leaves out, at any depth of `properties` and `items`."""
    if not isinstance(schema, Mapping):
        return value
    if isinstance(value, dict):
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        given = {key: filled(item, properties.get(key)) for key, item in value.items()}
        missing = {key: of["default"] for key, of in properties.items() if key not in value and isinstance(of, Mapping) and "default" in of}
        return {**given, **missing}
    if isinstance(value, list):
        return [filled(item, schema.get("items")) for item in value]
    return value
