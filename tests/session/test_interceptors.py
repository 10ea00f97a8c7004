"""How many interceptors there may be, whose they are, and how they end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.bridges._bridge import InterceptedCall
from llmspell_kernel.errors import LimitError
from llmspell_kernel.session import interceptors

from ..bridges.test_hooks import ECHO, SUFFIX, hooked, kill, run
from .world import ENGINES

every_engine = pytest.mark.parametrize("engine", ENGINES)
MANY = (
    "for i = 1, 200 do hooks.after('nothing.there', function() end) end",
    "for (let i = 0; i < 200; i++) await hooks.after('nothing.there', () => {})",
)
COUNT = ("#hooks.list()", "(await hooks.list()).length")


@every_engine
def test_hooks_of_a_state_that_is_gone_take_nobodys_place(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(session, engine, *MANY, state="gone")
            with pytest.raises(LimitError, match="there are 200 hooks and guardrails"):
                await run(session, engine, *SUFFIX)
            await session.forget("gone", engine)
            await run(session, engine, *SUFFIX)
            assert await run(session, engine, *ECHO) == ["x more"]
            assert await run(session, engine, *COUNT) == [1]
            ended = [entry for entry in session.interceptors.known if entry.until is not None]
            assert len(ended) == interceptors.MOST_ENDED
            assert "is gone with the state" in session.sink.text("stderr")  # type: ignore[attr-defined]

    asyncio.run(play())


@every_engine
def test_a_state_that_is_lost_keeps_its_hooks_while_another_one_adds_some(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(session, engine, *SUFFIX, state="lost")
            await kill(session, engine, "lost")
            await run(session, engine, *SUFFIX, chunk="cell[2]")
            assert await run(session, engine, *ECHO, chunk="cell[3]") == ["x more more"]
            assert await run(session, engine, *COUNT, chunk="cell[4]") == [2]

    asyncio.run(play())


def test_an_argument_is_found_and_given_by_the_name_that_the_method_declares() -> None:
    call = InterceptedCall("llm", "stream_chat", ["x"], ("prompt", "each", "options"))
    assert (call.argument("prompt"), call.argument("options"), call.argument("other")) == ("x", None, None)
    call.set_argument("options", {"a": 1})
    assert call.arguments == ["x", None, {"a": 1}]
    call.set_argument("prompt", "y")
    assert call.arguments == ["y", None, {"a": 1}]
