"""All process code: spawn, warm spare, soft stop and kill, the child's loop.  Imports engines (declarations) and protocol only.

`child.py` runs in the worker process and imports no host part; the rest runs in the host.  A worker is treated as hostile.
"""

from __future__ import annotations

from typing import Any


async def probe(startup_s: float = 10.0) -> dict[str, dict[str, str | bool]]:
    """Starts a worker, and says what its engines report.  Raises WorkerLost or LimitError where none starts."""
    from .pool import WorkerPool

    pool: Any = WorkerPool(startup_s=startup_s)
    try:
        worker = await pool.take()
        return dict(worker.engines)
    finally:
        pool.close()
