"""What the host keeps for scripts: streams and the like, by typed opaque ids that are checked at every use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from ..bridges._bridge import Resource
from ..errors import LimitError, ScriptError
from ..values import ResourceRef
from .faults import report

RELEASE_S = 3.0
"""How long anyone waits for a resource to close: one that never does goes on alone."""


class Kept(NamedTuple):
    state: int
    cell: int
    resource: Resource


class ResourceTable:
    """Ids count up and are never used twice, so a closed one stays unknown for ever."""

    def __init__(self) -> None:
        self._kept: dict[int, Kept] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, state: int, cell: int, resource: Resource, limit: int) -> ResourceRef:
        """Raises LimitError where the state holds `limit` already; releasing the refused one is then the caller's."""
        held = sum(kept.state == state for kept in self._kept.values())
        if held >= limit:
            raise LimitError(
                f"this state holds {held} open resources, its limit is {limit}; close those that are done with",
                limit="resources",
                value=limit,
                used=held + 1,
            )
        self._last += 1
        self._kept[self._last] = Kept(state, cell, resource)
        return ResourceRef(self._last, resource.type)

    def get(self, state: int, number: int, kind: str) -> Resource:
        """The resource, for the state that owns it.  One answer for closed, foreign and forged ids: nothing can be learned by trying."""
        kept = self._kept.get(number)
        if kept is None or kept.state != state or kept.resource.type != kind:
            raise ScriptError(f"this {kind} is closed, or does not belong to this state", code="resource")
        return kept.resource

    async def release(self, number: int) -> None:
        kept = self._kept.pop(number, None)
        if kept is not None:
            await kept.resource.release()

    async def release_state(self, state: int) -> None:
        await self._release_all([number for number, kept in self._kept.items() if kept.state == state])

    async def release_cell(self, cell: int) -> None:
        """Those that were opened in one cell."""
        await self._release_all([number for number, kept in self._kept.items() if kept.cell == cell])

    async def _release_all(self, numbers: Iterable[int]) -> None:
        """Each on its own: one that fails or hangs keeps no other from closing."""
        tasks = {asyncio.create_task(self.release(number)): self._kept[number] for number in numbers}
        if not tasks:
            return
        _, hanging = await asyncio.wait(tasks, timeout=RELEASE_S)
        for task in tasks:
            what = f"a {tasks[task].resource.type} of state {tasks[task].state}"
            if task in hanging:
                report(f"{what} does not close", TimeoutError(f"not within {RELEASE_S:g} s"))
            elif not task.cancelled() and (error := task.exception()) is not None:
                report(f"{what} failed to close", error)
