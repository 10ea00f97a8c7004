"""A state is opened with the settings of that time, however early it was spoken of, and keeps them when it is restored."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from llmspell_kernel.errors import LimitError
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings

from .world import ENGINES

STRICT = Settings(preset="strict", confinement="auto")
FROM_TEXT = {"lua": "return load('return 1')()", "javascript": "(0, eval)('1')"}
RANDOM = {"lua": "return math.random(1e9)", "javascript": "Math.random()"}
LARGE = {"lua": "x = string.rep('x', 48e6)", "javascript": "x = new Uint8Array(48e6).fill(1)"}
MiB = 1024 * 1024


def play(body: Callable[[Session], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Session() as session:
            await body(session)

    asyncio.run(run())


async def kill(session: Session, engine: str) -> None:
    worker = session.states["main", engine].worker
    assert worker is not None
    gone = asyncio.Event()
    worker.on_lost[-1] = gone.set
    os.kill(worker.pid, signal.SIGKILL)
    await gone.wait()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_was_narrowed_before_the_preset_changed_has_what_the_new_one_leaves(engine: str) -> None:
    async def body(session: Session) -> None:
        session.narrow("main", engine, deny=["http.*"])
        session.configure(STRICT)
        assert (await session.run(FROM_TEXT[engine], engine=engine)).error is not None
        assert session.status().states[0].memory_limit == 64 * MiB

    play(body)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_was_narrowed_before_the_seed_changed_has_the_new_one(engine: str) -> None:
    async def body(session: Session) -> None:
        session.narrow("main", engine, deny=["http.*"])
        session.configure(Settings(seed=5))
        drawn = [(await session.run(RANDOM[engine], engine=engine, state=state)).values for state in ("main", "opened later")]
        assert drawn[0] == drawn[1]

    play(body)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_python_opens_has_the_memory_of_that_time(engine: str) -> None:
    async def body(session: Session) -> None:
        session.narrow("main", engine, deny=["http.*"])
        session.configure(Settings(limits={"memory_bytes": 24 * MiB}))
        await session.set("y", 1, engine=engine)
        session.configure(Settings())
        error = (await session.run(LARGE[engine], engine=engine)).error
        assert isinstance(error, LimitError) and (error.limit, error.value) == ("memory_bytes", 24 * MiB)

    play(body)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_restored_state_keeps_what_it_was_opened_with_and_one_that_was_reset_does_not(engine: str) -> None:
    async def body(session: Session) -> None:
        assert (await session.run(FROM_TEXT[engine], engine=engine)).error is None
        session.configure(STRICT)
        await kill(session, engine)
        again = await session.run(FROM_TEXT[engine], engine=engine)
        assert again.error is None and session.states["main", engine].last_restored is not None
        assert session.status().states[0].memory_limit == 128 * MiB
        await session.forget("main", engine)
        assert (await session.run(FROM_TEXT[engine], engine=engine)).error is not None

    play(body)
