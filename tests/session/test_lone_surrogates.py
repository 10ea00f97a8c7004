"""Text that is no Unicode, as a front end or a file's name may hold it, is a fault that says so wherever it comes in, and ends nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.errors import ScriptError
from llmspell_kernel.session import Session

from .world import ENGINES, world

BY_ENGINE = pytest.mark.parametrize("engine", ENGINES)
BAD = "\ud800"


@BY_ENGINE
def test_a_question_with_a_lone_surrogate_is_refused_and_the_next_one_answered(engine: str) -> None:
    async def run() -> None:
        async with world() as made:
            session = made.session
            for ask in (
                lambda: session.ask("is_complete", f"x = '{BAD}'", engine=engine, open_state=True),
                lambda: session.ask("members", BAD, engine=engine),
                lambda: session.get(BAD, engine=engine),
                lambda: session.set(BAD, 1, engine=engine),
            ):
                with pytest.raises(ScriptError, match="line 1 holds a lone surrogate"):
                    await ask()
            answer = await session.ask("is_complete", "x = 1", engine=engine)
            assert answer["status"] == "complete"

    asyncio.run(run())


@BY_ENGINE
def test_an_input_or_output_named_by_a_lone_surrogate_is_the_cell_s_error(engine: str) -> None:
    async def run() -> None:
        async with world() as made:
            one = "return 1" if engine == "lua" else "1"
            for more in ({"inputs": {BAD: 1}}, {"outputs": [BAD]}):
                assert isinstance((await made.session.run(one, engine=engine, **more)).error, ScriptError)
            assert (await made.session.run(one, engine=engine)).value == 1

    asyncio.run(run())


def test_a_state_s_name_may_hold_one_while_calls_are_recorded(tmp_path: Path) -> None:
    async def run() -> None:
        async with Session(folder=tmp_path) as session:
            session.tape("record", tmp_path / "n.cassette.jsonl")
            assert (await session.run("return 1", state=BAD)).value == 1

    asyncio.run(run())
