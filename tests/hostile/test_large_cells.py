"""A cell of very many lines costs its compilation, and no more: whatever it holds, it is answered and its worker stays."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.engines._source import MAX_SOURCE_BYTES
from llmspell_kernel.errors import ScriptError, SpellError
from llmspell_kernel.policy.limits import PRESETS
from llmspell_kernel.session import ExecutionResult, Session

BY_ENGINE = pytest.mark.parametrize("engine", ["lua", "javascript"])
VALUE = {"lua": "return kept", "javascript": "kept"}
DEPTH = 58
NESTED = {"lua": "y = {\n" * DEPTH + "1" + "}\n" * DEPTH, "javascript": "y = [\n" * DEPTH + "1" + "]\n" * DEPTH}
"""For each of these lines one might try whether a last expression begins there."""


def played(engine: str, *cells: str) -> list[ExecutionResult]:
    """The results of cells in a state that must keep its worker."""

    async def play() -> list[ExecutionResult]:
        async with Session(limits=PRESETS["standard"]._replace(script_time_s=3.0)) as session:
            (await session.run("kept = 7", engine=engine)).raise_for_error()
            worker = session.states["main", engine].worker
            results = [await session.run(cell, engine=engine) for cell in cells]
            assert (await session.run(VALUE[engine], engine=engine)).values == [7]
            assert session.states["main", engine].worker is worker
            return results

    return asyncio.run(play())


def error_of(result: ExecutionResult) -> SpellError:
    assert result.error is not None
    return result.error


@BY_ENGINE
def test_a_cell_over_the_limit_is_refused_with_the_limit(engine: str) -> None:
    (result,) = played(engine, "\n" * MAX_SOURCE_BYTES + "x = 1")
    assert error_of(result).code == "limit"
    assert f"{MAX_SOURCE_BYTES} bytes" in error_of(result).message


@BY_ENGINE
def test_a_million_lines_are_run(engine: str) -> None:
    value = "kept"
    assert [result.values for result in played(engine, "\n" * (MAX_SOURCE_BYTES - len(value)) + value)] == [[7]]


@BY_ENGINE
@pytest.mark.parametrize(("end", "error"), [("", type(None)), (")", ScriptError)], ids=["right", "wrong"])
def test_a_large_cell_that_ends_in_one_long_statement_is_answered(engine: str, end: str, error: type) -> None:
    (result,) = played(engine, "x=1\n" * (MAX_SOURCE_BYTES // 4 - 1000) + NESTED[engine] + end)
    assert type(result.error) is error
    assert result.error is None or result.error.code == "script"
