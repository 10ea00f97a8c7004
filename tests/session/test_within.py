"""Who waits for a state whose cell runs, and for how long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel import Bridge, Context, ScriptFunction, method
from llmspell_kernel.errors import ScriptError
from llmspell_kernel.session import Session
from llmspell_kernel.values import Callback

from .world import ENGINES

REST_S = 0.3
WAIT_S = 10.0
"""Longer than anything here takes: who still waits then waits for ever."""


class Left(Bridge):
    """Keeps a function, and calls it in a task that outlives the cell which began it."""

    name = "left"

    def __init__(self) -> None:
        self._kept: ScriptFunction | None = None
        self._may_call = asyncio.Event()
        self.called: asyncio.Task[Any] | None = None

    @method(replay="again")
    async def keep(self, ctx: Context, function: Callback) -> None:
        """Keeps a function."""
        self._kept = ctx.function(function)

    @method(replay="again")
    async def begin(self, ctx: Context) -> None:
        """Begins the task."""
        self.called = asyncio.create_task(self._call(ctx))

    async def _call(self, ctx: Context) -> Any:
        await self._may_call.wait()
        assert self._kept is not None
        return await self._kept(ctx, 41)

    @method(replay="again")
    async def result(self, ctx: Context) -> Any:
        """Lets the task call the function, and waits for what it gives."""
        self._may_call.set()
        assert self.called is not None
        return await self.called

    @method(replay="again")
    async def rest(self, ctx: Context, seconds: float) -> None:
        """Lets the task call the function, and waits for something else."""
        self._may_call.set()
        await asyncio.sleep(seconds)


KEEP = {"lua": "left.keep(function(n) return n + 1 end)", "javascript": "await left.keep(n => n + 1)"}


def code(engine: str, call: str) -> str:
    return call if engine == "lua" else f"await {call}"


async def ran(session: Session, engine: str, code: str, state: str = "main") -> None:
    (await session.run(code, engine=engine, state=state)).raise_for_error()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cell_that_waits_for_what_an_earlier_one_left_behind_does_not_wait_for_ever(engine: str) -> None:
    async def run() -> None:
        async with Session(bridges=[Left()]) as session:
            await ran(session, engine, KEEP[engine])
            await ran(session, engine, code(engine, "left.begin()"))
            result = await asyncio.wait_for(session.run(code(engine, "left.result()"), engine=engine), WAIT_S)
            assert isinstance(result.error, ScriptError)
            assert f"the {engine} state 'main' is busy with a cell, and the cell that this call belongs to is over" in result.error.message
            await ran(session, engine, code(engine, "left.rest(0)"))

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_what_another_state_left_behind_waits_until_the_cell_is_over(engine: str) -> None:
    async def run() -> None:
        left = Left()
        async with Session(bridges=[left]) as session:
            await ran(session, engine, KEEP[engine])
            await ran(session, engine, code(engine, "left.begin()"), state="other")
            await ran(session, engine, code(engine, f"left.rest({REST_S})"))
            assert left.called is not None
            assert await asyncio.wait_for(left.called, WAIT_S) == 42

    asyncio.run(run())
