"""The schemas that answers of agents must fit, made in a thread when first needed: a large one takes a second."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from llmspell_kernel.services.llm.objects import ObjectOptions, ObjectRequest

MAX_KEPT = 16
"""From run to run, of all agents."""


class KnownOutputs:
    """Those of the agents that ran last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[dict[str, Any], ObjectRequest]] = OrderedDict()
        """By the identity of the schema, which is never changed: another one of the same agent is another object."""

    async def of(self, schema: dict[str, Any] | None) -> ObjectRequest | None:
        """None for an agent that answers with a text.  Raises ArgumentError for what is no schema."""
        if schema is None:
            return None
        found = self._kept.get(id(schema))
        if found is None:
            found = schema, await asyncio.to_thread(ObjectRequest, schema, ObjectOptions())
            self._kept[id(schema)] = found
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(id(schema))
        return found[1]
