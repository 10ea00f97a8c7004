"""The bridge `schema`: JSON Schema for scripts."""

from __future__ import annotations

import asyncio
from typing import Any

from ._bridge import Bridge, Context, method


class SchemaBridge(Bridge):
    """JSON Schema (draft 2020-12): check values, fill in defaults, infer a schema from examples."""

    name = "schema"

    @method(replay="call")
    async def validate(self, ctx: Context, value: Any, schema: dict[str, Any]) -> dict[str, Any]:
        """Check a value: `{valid, errors, value}`; `errors` are `{path, message}`, as in `$.items[0].name`, at most 20.

        `value` is the value with the schema's defaults in place of properties that are left out.
        - value: anything that JSON has
        - schema: a JSON Schema, or the short form `{name = "string", age = "integer?"}`; a `$ref` may name a place in it, nothing is fetched

        Raises ArgumentError for what is no schema, and LimitError for one that asks for too much work.
        """
        problems, completed = await asyncio.to_thread(_checked, value, schema)
        return {"valid": not problems, "errors": [{"path": path, "message": message} for path, message in problems], "value": completed}

    @method(replay="call")
    async def infer(self, ctx: Context, *examples: Any) -> dict[str, Any]:
        """A schema that fits all the examples; a property is required where each of them has it."""
        return await asyncio.to_thread(_inferred, examples)


def _checked(value: Any, schema: dict[str, Any]) -> tuple[list[tuple[str, str]], Any]:
    from llmspell_kernel.services.schema.defaults import filled
    from llmspell_kernel.services.schema.short_form import document_of
    from llmspell_kernel.services.schema.validation import Schema  # 150 ms, which a kernel that needs it not does without

    document = document_of(schema)
    checked = Schema(document)
    completed = filled(value, document)
    return [(problem.path, problem.message) for problem in checked.problems(completed)], completed


def _inferred(examples: tuple[Any, ...]) -> dict[str, Any]:
    from llmspell_kernel.services.schema.inference import inferred

    return inferred(examples)
