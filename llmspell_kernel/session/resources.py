"""What the host keeps for scripts: streams and the like, by typed opaque ids that are checked at every use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..bridges._bridge import Resource
from ..errors import ScriptError, ValueCrossingError
from ..journal.events import ResourceClosed
from ..journal.recorder import Recorder
from ..values import ResourceRef, Value, first_reference
from .faults import contained, report
from .met_limits import met

if TYPE_CHECKING:
    from .cell_run import CellRun

Why = Literal["closed", "exhausted", "dropped", "cell", "state", "bridge"]
Key = tuple[int, int]
"""Number of the state, number of the resource in it."""


def refuse_references(value: Value, path: str) -> None:
    """Raises ValueCrossingError where a value holds a reference: numbers count by state, so in another it would name another thing."""
    if (found := first_reference(value, path, (ResourceRef,))) is not None:
        at, thing = found
        assert isinstance(thing, ResourceRef)
        raise ValueCrossingError(f"a {thing.type} cannot leave its state, nor come into one; use it in a cell of that state", path=at)


class Kept(NamedTuple):
    """`run` is the one run of a cell or init script in which it was opened: cells of several states, and those run again, share numbers."""

    run: CellRun
    resource: Resource


MOST_ENDED = 1_000
"""How many closed ones are remembered for their lasting methods; the oldest go first."""


class ResourceTable:
    """Numbers count up in each state and are never used twice there, so a closed one stays unknown for ever.

    They count by state and not by session so that a replay, in which states may run in another order, gives the same ones.
    """

    def __init__(self, recorder: Recorder, release_s: float) -> None:
        self._recorder = recorder
        self.release_s = release_s
        """How long anyone waits for a resource to close: one that never does goes on alone."""
        self._kept: dict[Key, Kept] = {}
        self._last: dict[int, int] = {}
        self._ended: dict[Key, Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, run: CellRun, resource: Resource) -> ResourceRef:
        """Raises LimitError where the state holds as many as it may; releasing the refused one is then the caller's."""
        state, limit = run.state_number, run.limits.resources
        held = sum(owner == state for owner, _ in self._kept)
        if held >= limit:
            message = f"this state holds {held} open resources, its limit is {limit}; close those that are done with"
            raise met("resources", limit, held + 1, message=message)
        number = self._last[state] = self._last.get(state, 0) + 1
        self._kept[state, number] = Kept(run, resource)
        return ResourceRef(number, resource.type)

    def holds(self, resource: Resource) -> bool:
        return any(kept.resource is resource for kept in self._kept.values())

    def get(self, state: int, number: int, kind: str, method: str = "") -> Resource:
        """The resource, for the state that owns it.  One answer for closed, foreign and forged ids: nothing can be learned by trying.

        A closed one still answers to its lasting methods.
        """
        kept = self._kept.get((state, number))
        if kept is None and (ended := self._ended.get((state, number))) is not None and method in ended.resource.lasting:
            kept = ended
        if kept is None or kept.resource.type != kind:
            raise ScriptError(f"this {kind} is closed, or does not belong to this state", code="resource")
        return kept.resource

    async def release(self, state: int, number: int, why: Why) -> None:
        kept = self._kept.pop((state, number), None)
        if kept is not None:
            self._recorder.record(
                ResourceClosed(kept.run.cell, time.time(), kept.run.state_name, number, kept.resource.type, why, kept.run.engine)
            )
            if kept.resource.lasting and why in ("closed", "exhausted"):
                self._ended[state, number] = kept
                if len(self._ended) > MOST_ENDED:
                    del self._ended[next(iter(self._ended))]
            await contained(kept.resource.release(), f"the end of a {kept.resource.type}")

    async def release_state(self, state: int) -> None:
        await self._release_all([key for key in self._kept if key[0] == state], "state")
        self._last.pop(state, None)
        for key in [key for key in self._ended if key[0] == state]:
            del self._ended[key]

    async def release_run(self, run: CellRun) -> None:
        """Those that were opened in one run of a cell."""
        await self._release_all([key for key, kept in self._kept.items() if kept.run is run], "cell")

    async def release_bridge(self, name: str) -> None:
        """Those of a bridge that goes away."""
        for key in [key for key, kept in self._ended.items() if kept.resource.type.startswith(f"{name}.")]:
            del self._ended[key]
        await self._release_all([key for key, kept in self._kept.items() if kept.resource.type.startswith(f"{name}.")], "bridge")

    async def _release_all(self, keys: Iterable[Key], why: Why) -> None:
        """Each on its own: one that fails or hangs keeps no other from closing."""
        tasks = {asyncio.create_task(self.release(*key, why)): (key, self._kept[key]) for key in keys}
        if not tasks:
            return
        _, hanging = await asyncio.wait(tasks, timeout=self.release_s)
        for task, ((state, _), kept) in tasks.items():
            what = f"a {kept.resource.type} of state {state}"
            if task in hanging:
                report(f"{what} does not close", TimeoutError(f"not within {self.release_s:g} s"))
            elif not task.cancelled() and (error := task.exception()) is not None:
                report(f"{what} failed to close", error)
