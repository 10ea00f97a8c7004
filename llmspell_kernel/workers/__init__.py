"""All process code: spawn, warm spare, soft stop and kill, the child's loop.  Imports engines (declarations) and protocol only.

`child.py` runs in the worker process and imports no host part; the rest runs in the host.  A worker is treated as hostile.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Probed(NamedTuple):
    """`engines` are the facts of those that work, `failed` says why the others do not."""

    engines: dict[str, dict[str, str | bool]]
    failed: dict[str, str]


async def probe(startup_s: float = 10.0) -> Probed:
    """Starts a worker, and says what its engines report.  Raises WorkerLost or ConfigError where none starts."""
    from .pool import WorkerPool

    pool: Any = WorkerPool(startup_s=startup_s)
    try:
        worker = await pool.take()
        return Probed(dict(worker.engines), dict(worker.failed))
    finally:
        pool.close()
