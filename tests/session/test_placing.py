"""An error has a place that its cell can show."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.errors import Frame, LimitError, SpellError
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings


def failing(engine: str, code: str) -> SpellError:
    async def play() -> SpellError:
        async with Session(settings=Settings(limits={"script_time_s": 0.2})) as session:
            outcome = await session.run(code, engine=engine, chunk="cell[1]", line_offset=1)
            assert outcome.error is not None
            return outcome.error

    return asyncio.run(play())


@pytest.mark.parametrize(
    ("engine", "code", "line"),
    [
        ("lua", "x = \n", 2),
        ("lua", "y = 1\nx = \n\n\n", 3),
        ("lua", "for i = 1, 2 do\n  print(i)\n", 3),
        ("lua", "goto done\n", 2),
        ("lua", "local a = 1\ngoto done\nlocal b\n", 3),
        ("lua", "break\nx = 1\n", 2),
        ("javascript", "x = \n", 2),
        ("javascript", "y = 1\nf(\n\n", 3),
    ],
)
def test_the_place_of_a_syntax_error_is_a_line_of_the_cell(engine: str, code: str, line: int) -> None:
    assert [frame[:2] for frame in failing(engine, code).frames] == [("cell[1]", line)]


@pytest.mark.parametrize(("engine", "code"), [("lua", "while true do end"), ("javascript", "while(true){}")])
def test_a_loop_that_met_its_time_is_told_with_its_cell(engine: str, code: str) -> None:
    error = failing(engine, code)
    assert isinstance(error, LimitError)
    assert error.frames == (Frame("cell[1]", 2 if engine == "lua" else 0),)
