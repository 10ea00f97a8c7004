"""What the worker tests share: pools that are closed, and waiting for the end of a process without polling."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from llmspell_kernel.engines._declaration import EngineDeclaration
from llmspell_kernel.engines._registry import built_in
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.protocol.output import Output
from llmspell_kernel.workers.pool import WorkerPool
from llmspell_kernel.workers.spawn import SAFE_LAYERS
from llmspell_kernel.workers.worker import Worker

ENGINE_FOLDER = Path(__file__).parent / "engines"
ACTING = [EngineDeclaration("acting", "Acting", "acting_engine")]
REAL = built_in()


@asynccontextmanager
async def pool_of(
    engines: Iterable[EngineDeclaration], startup_s: float = 10.0, layers: Sequence[str] = SAFE_LAYERS
) -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(engines, policy=WorkerPolicy(), startup_s=startup_s, layers=layers)
    try:
        yield pool
    finally:
        pool.close()


@asynccontextmanager
async def worker_of(
    engines: Iterable[EngineDeclaration], engine: str, catalogue: bytes = b"{}", layers: Sequence[str] = SAFE_LAYERS
) -> AsyncIterator[tuple[Worker, list[Output]]]:
    """A started worker with state 1 open, and what it prints."""
    printed: list[Output] = []
    async with pool_of(engines, layers=layers) as pool:
        worker = await pool.take(keep_spare=False)
        worker.on_output[1] = printed.append
        await worker.open(1, engine, catalogue, b'{"state":1}')
        yield worker, printed


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


class Watch:
    """Sees the end of any process, also of one that is not our child.  Make it while the process lives."""

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def ended_within(self, seconds: float) -> bool:
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def close(self) -> None:
        os.close(self._descriptor)


async def until(reached: Callable[[], object], seconds: float = 20.0) -> None:
    """Lets the event loop go round until it is so."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not reached():
        assert loop.time() < end, "it never came"
        await asyncio.sleep(0)  # noqa: ASYNC110 - there is no event of what tests look at from outside
