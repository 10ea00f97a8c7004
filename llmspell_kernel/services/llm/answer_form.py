"""The form that a script asks an answer in.  Checked here, as what is sent on goes to the provider: it could be told to do more than answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_kernel.errors import ArgumentError

TYPES = ("text", "json_object", "json_schema")
SCHEMAS = ("json_schema", "response_schema")
"""What providers call the schema that goes with a type."""


def answer_form(given: str | Mapping[str, Any]) -> dict[str, Any]:
    """As it is sent.  Raises ArgumentError."""
    form = {"type": "json_object" if given == "json" else given} if isinstance(given, str) else dict(given)
    if form.get("type") not in TYPES or given == "json_schema":
        raise ArgumentError(f'response_format must be "json", or a table with one of the types {", ".join(TYPES)}')
    for key, value in form.items():
        if key != "type" and key not in SCHEMAS:
            raise ArgumentError(f"response_format has an unknown key '{key}'; beside its type it takes {' or '.join(SCHEMAS)}")
        if key in SCHEMAS and not isinstance(value, Mapping):
            raise ArgumentError(f"response_format takes a table as its {key}")
    return form
