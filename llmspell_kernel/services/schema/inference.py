"""A JSON Schema from examples, by the library genson."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genson import SchemaBuilder


def inferred(examples: Sequence[Any]) -> dict[str, Any]:
    """What all the examples have in common: a property is required where each of them has it."""
    builder = SchemaBuilder(schema_uri=None)
    for example in examples:
        builder.add_object(example)
    return dict(builder.to_schema())
