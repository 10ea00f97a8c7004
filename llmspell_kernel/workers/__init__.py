"""All process code: spawn, warm spare, soft stop and kill, the child's loop.  Imports engines (declarations) and protocol only.

`child.py` runs in the worker process and imports no host part; the rest runs in the host.  A worker is treated as hostile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Probed(NamedTuple):
    """`engines` are the facts of those that work, `failed` says why the others do not."""

    engines: dict[str, dict[str, str | bool]]
    failed: dict[str, str]
    layers: dict[str, str]
    """Of each layer of confinement that was asked for why it is missing, "" for one that holds."""


async def probe(startup_s: float = 10.0, layers: Sequence[str] | None = None) -> Probed:
    """Starts a worker, and says what its engines report.  Raises WorkerLost or ConfigError where none starts."""
    from ..engines._registry import discover
    from .spawn import SAFE_LAYERS, WorkerProcess
    from .worker import Worker

    worker = Worker(WorkerProcess(discover(), SAFE_LAYERS if layers is None else layers))
    try:
        await worker.started(startup_s)
        return Probed({name: dict(facts) for name, facts in worker.engines.items()}, dict(worker.failed), dict(worker.layers))
    finally:
        worker.close()
