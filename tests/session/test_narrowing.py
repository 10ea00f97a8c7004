"""`allow` and `deny` narrow one state: its cells lose what they could call, for good, and no other state does."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from llmspell_kernel.errors import DeniedError, WorkerLost
from llmspell_kernel.session import Session

from .world import ENGINES

CALLS = {"lua": "return {name}()", "javascript": "await {name}()"}


def play(body: Callable[[Session], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Session() as session:
            await body(session)

    asyncio.run(run())


def call(engine: str, name: str) -> str:
    return CALLS[engine].format(name=name)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_narrowed_state_keeps_what_is_allowed_and_other_states_keep_all(engine: str) -> None:
    async def body(session: Session) -> None:
        session.narrow("a", engine, allow=["log.*"])
        denied = (await session.run(call(engine, "llm.model"), engine=engine, state="a")).error
        assert isinstance(denied, DeniedError) and denied.capability == "llm.model"
        assert denied.message.startswith("llm.model is not allowed by the state 'a'; it was narrowed for good, a fresh state is not")
        assert (await session.run("log.info('x')", engine=engine, state="a")).error is None
        assert (await session.run(call(engine, "llm.model"), engine=engine)).error is None

    play(body)


@pytest.mark.parametrize("engine", ENGINES)
def test_narrowing_adds_up_and_nothing_widens_a_state_again(engine: str) -> None:
    async def body(session: Session) -> None:
        session.narrow("main", engine, deny=["llm.model"])
        session.narrow("main", engine, allow=["llm.*", "log.*"])
        session.narrow("main", engine, allow=["*"])
        for name, allowed in [("llm.model", False), ("llm.models", True), ("timer.sleep", False)]:
            error = (await session.run(call(engine, name), engine=engine)).error
            assert isinstance(error, DeniedError) is not allowed, (name, error)

    play(body)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_was_lost_comes_back_as_narrow_and_one_that_was_reset_does_not(engine: str) -> None:
    async def body(session: Session) -> None:
        session.narrow("main", engine, deny=["llm.*"])
        await session.run("x = 1", engine=engine)
        worker = session.states["main", engine].worker
        assert worker is not None
        os.kill(worker.pid, signal.SIGKILL)
        seen = [(await session.run(call(engine, "llm.model"), engine=engine)).error for _ in range(2)]
        assert all(isinstance(error, (DeniedError, WorkerLost)) for error in seen) and isinstance(seen[-1], DeniedError)
        await session.forget("main", engine)
        assert (await session.run(call(engine, "llm.model"), engine=engine)).error is None

    play(body)


def test_narrowed_states_are_told() -> None:
    async def body(session: Session) -> None:
        session.narrow("a", "lua", deny=["llm.*"])
        session.narrow("a", "lua", deny=["llm.*"])
        assert {name: len(rules) for name, rules in session.narrowed.items()} == {"lua 'a'": 1}

    play(body)
