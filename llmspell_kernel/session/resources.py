"""What the host keeps for scripts: streams and the like, by typed opaque ids that are checked at every use."""

from __future__ import annotations

from typing import NamedTuple

from ..bridges._bridge import Context, Resource
from ..errors import ScriptError
from ..values import ResourceRef
from .faults import report


class Kept(NamedTuple):
    state: int
    resource: Resource
    context: Context


class ResourceTable:
    """Ids count up and are never used twice, so a closed one stays unknown for ever."""

    def __init__(self) -> None:
        self._kept: dict[int, Kept] = {}
        self._last = 0

    def keep(self, state: int, resource: Resource, context: Context) -> ResourceRef:
        self._last += 1
        self._kept[self._last] = Kept(state, resource, context)
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
        for number in [number for number, kept in self._kept.items() if kept.state == state]:
            try:
                await self.release(number)
            except Exception as error:
                report(f"a resource of state {state} failed to close", error)
