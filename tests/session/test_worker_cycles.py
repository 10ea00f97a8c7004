"""States that come and go leave nothing behind: no process, no descriptor, no memory."""

from __future__ import annotations

import asyncio
import gc
import os

import psutil
import pytest

from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.workers.figures import figures_of

from .world import ENGINES, world

COUNT = {"lua": "n = (n or 0) + 1 return n", "javascript": "globalThis.n = (globalThis.n ?? 0) + 1"}
WARM_UP = 10
"""Cycles after which the host has imported and cached what it ever will."""
GROWTH_BYTES = 8 * 1024 * 1024
CYCLES = [20, pytest.param(1_000, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])]


def processes() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    gc.collect()
    figures = figures_of(os.getpid())
    assert figures is not None
    return figures.memory_bytes


async def cycle(session: Session, engine: str) -> None:
    outcome = await session.run(COUNT[engine], engine=engine, state="cycle")
    assert outcome.values == [1], "a state was handed on"
    await session.forget("cycle", engine)


@pytest.mark.parametrize("cycles", CYCLES)
def test_states_that_come_and_go_leave_no_process_descriptor_or_memory(cycles: int) -> None:
    async def play() -> None:
        others = processes()
        async with world() as made:
            for number in range(WARM_UP):
                await cycle(made.session, ENGINES[number % len(ENGINES)])
            ours, before, memory = len(processes() - others), descriptors(), resident()
            for number in range(cycles):
                await cycle(made.session, ENGINES[number % len(ENGINES)])
                assert len(processes() - others) <= ours, f"after {number} cycles"
            assert descriptors() == before
            assert resident() - memory < GROWTH_BYTES
        assert processes() - others == set()

    asyncio.run(play())


@pytest.mark.parametrize("cycles", CYCLES)
def test_states_of_a_shared_worker_that_come_and_go_leave_nothing_in_it(cycles: int) -> None:
    async def play() -> None:
        settings = Settings(workers={"states_per_worker": 4, "recycle_cells": 1_000_000})
        async with world(settings=settings) as made:
            for number in range(WARM_UP):
                await cycle(made.session, ENGINES[number % len(ENGINES)])
            (worker,) = {pid for pid in made.session.worker_pids if pid in processes()} - {made.session._pool._spares[0].pid}
            before, first = descriptors(), figures_of(worker)
            for number in range(cycles):
                await cycle(made.session, ENGINES[number % len(ENGINES)])
            last = figures_of(worker)
            assert first is not None and last is not None, "one worker served them all"
            assert last.memory_bytes - first.memory_bytes < GROWTH_BYTES
            assert descriptors() == before

    asyncio.run(play())
