"""Arguments that a model gives to a tool, against the tool's schema."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import msgspec

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services.schema.defaults import filled
from llmspell_kernel.services.schema.validation import Schema
from llmspell_kernel.services.schema.weight import Weight
from llmspell_kernel.values import counted_bytes

from .definition import ToolEntry
from .messages import arguments_chars

QUICK_CHARS = 2_000
MAX_KEPT = 256
"""Schemas that are kept from run to run, of all agents: one takes longer to make than many checks by it."""
MAX_KEPT_BYTES = 4_000_000
"""Of what these count, also where their agents are closed: 16 MB of memory."""


class Arguments:
    def __init__(self, entry: ToolEntry) -> None:
        """Raises ArgumentError for what is no schema."""
        self._entry = entry
        self._schema = Schema(entry.parameters)
        written = msgspec.json.encode(entry.parameters)
        self.counted = counted_bytes(written, MAX_KEPT_BYTES)
        self._weight = Weight(entry.parameters)
        self._is_small = len(written) <= QUICK_CHARS

    def is_quick(self, arguments: dict[str, Any]) -> bool:
        """Is the check so short that a thread for it would take longer (measured: 0.05 ms beside 0.3)?"""
        return self._is_small and self._weight.is_little(arguments) and arguments_chars(arguments) <= QUICK_CHARS

    def fit(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """With defaults.  Raises ArgumentError naming every place that does not fit, LimitError for a schema that asks too much work."""
        complete = filled(arguments, self._entry.parameters)
        if problems := self._schema.problems(complete):
            raise ArgumentError(f"the arguments of {self._entry.name} do not fit: {'; '.join(map(str, problems))}")
        return dict(complete)


class KnownArguments:
    """Those of the tools that were called last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[ToolEntry, Arguments]] = OrderedDict()
        """By the identity of the tool, which is never changed: another of its name is another one."""

    async def of(self, entry: ToolEntry) -> Arguments:
        """Raises ArgumentError for what is no schema."""
        found = self._kept.get(id(entry))
        if found is None:
            found = entry, await asyncio.to_thread(Arguments, entry)
            self._kept[id(entry)] = found
            while len(self._kept) > MAX_KEPT or (len(self._kept) > 1 and self._counted() > MAX_KEPT_BYTES):
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(id(entry))
        return found[1]

    def _counted(self) -> int:
        return sum(checked.counted for _, checked in self._kept.values())
