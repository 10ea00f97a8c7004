"""A JSON Schema from examples, by the library genson."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genson import SchemaBuilder

from .sizes import check_size, text_bytes


def inferred(examples: Sequence[Any]) -> dict[str, Any]:
    """What all the examples have in common: a property is required where each of them has it.

    Raises ArgumentError where they are too large together.
    """
    check_size(text_bytes(examples))
    builder = SchemaBuilder(schema_uri=None)
    for example in examples:
        builder.add_object(example)
    return dict(builder.to_schema())
