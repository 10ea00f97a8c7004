"""What each state and its worker use, against what they may: measured when it is asked for, as plain data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..policy.limits import Limits
from ..workers.figures import figures_of
from ..workers.pool import WorkerPool

if TYPE_CHECKING:
    from .cell_run import CellRun
    from .script_state import ScriptState


class Used(NamedTuple):
    """What one cell used: the one that runs, or the last."""

    script_time_s: float = 0.0
    effects: int = 0
    output_bytes: int = 0


class StateStatus(NamedTuple):
    """`*_limit` is what the figure before it may be.

    `memory_bytes` is what the operating system counts for the state's process, libraries and prelude included, so it begins above 0 and may
    stand above the limit, which is for what the script itself keeps.  `cpu_s` is the process's.  Both are of all its states, where states
    share a worker, and None where the process is gone.
    """

    state: str
    engine: str
    phase: str
    pid: int | None
    age_s: float
    memory_bytes: int | None
    memory_limit: int
    cpu_s: float | None
    script_time_s: float
    script_time_limit: float
    instructions: int
    """0 where the engine does not count them."""
    instructions_limit: int
    effects: int
    effects_limit: int
    output_bytes: int
    output_limit: int
    cells: int
    recycles: int
    """How often the state got a new worker, the first one not counted: its variables come back with it where its history was kept."""
    layers: dict[str, str]
    """Of each layer of confinement that was asked for why it is missing, "" for one that holds."""


class PoolStatus(NamedTuple):
    workers: int
    """Processes that hold states."""
    spares: int
    most: int
    waiting: int
    """States that wait for a worker."""
    drained: int
    """How many shared workers took no further state because they were worn."""
    memory_bytes: int
    """Of all of them."""


class SessionStatus(NamedTuple):
    states: list[StateStatus]
    pool: PoolStatus

    def plain(self) -> dict[str, Any]:
        """`{"states": [{...}], "pool": {...}}`."""
        return {"states": [state._asdict() for state in self.states], "pool": self.pool._asdict()}


def status_of(
    states: Iterable[ScriptState], runs: Mapping[tuple[str, str], CellRun], limits: Limits, pool: WorkerPool, pids: Iterable[int]
) -> SessionStatus:
    """`limits` are those of a state that has not run yet."""
    found = [_state(script, runs.get((script.name, script.engine)), limits) for script in states]
    memory_bytes = sum(figures.memory_bytes for pid in pids if (figures := figures_of(pid)) is not None)
    count = pool.count()
    return SessionStatus(found, PoolStatus(count.given, count.spares, pool.policy.max, count.waiting, count.drained, memory_bytes))


def used_by(run: CellRun) -> Used:
    return Used(run.script_time_s, run.effects, run.output_bytes)


def _state(script: ScriptState, run: CellRun | None, limits: Limits) -> StateStatus:
    worker, used = script.worker, script.used if run is None else used_by(run)
    held = script.limits if script.cells or run is not None else limits
    figures = figures_of(worker.pid) if worker is not None else None
    return StateStatus(
        state=script.name,
        engine=script.engine,
        phase=script.phase().value,
        pid=worker.pid if worker is not None else None,
        age_s=round(time.time() - script.opened_at, 3) if worker is not None else 0.0,
        memory_bytes=figures.memory_bytes if figures is not None else None,
        memory_limit=(script.opened_with.limits if script.workers else limits).memory_bytes,
        cpu_s=figures.cpu_s if figures is not None else None,
        script_time_s=round(used.script_time_s, 6),
        script_time_limit=held.script_time_s,
        instructions=script.instructions,
        instructions_limit=held.instructions,
        effects=used.effects,
        effects_limit=held.effects,
        output_bytes=used.output_bytes,
        output_limit=held.output_bytes,
        cells=script.cells,
        recycles=max(0, script.workers - 1),
        layers=dict(worker.layers) if worker is not None else {},
    )
