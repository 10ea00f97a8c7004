"""The bridge `models`, alone and in both languages over the journal that a session keeps."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.bridges.models import Models, PerformanceOptions
from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.context import FakeBridgeSession, FakeContext

ASK = {
    "lua": "local all = models.performance() local one = models.performance{name = 'spell/echo', since = '2020-01-01'} "
    "return all.calls, one.calls, one.failures, one.days[1].calls, models.performance{name = 'x/y'}.latency_p50_s == nil",
    "javascript": "const all = await models.performance(); const one = await models.performance({name: 'spell/echo', since: '2020-01-01'}); "
    "[all.calls, one.calls, one.failures, one.days[0].calls, (await models.performance({name: 'x/y'})).latency_p50_s === null]",
}


def asked_since(since: Any) -> float:
    async def ask() -> float:
        session, bridge = FakeBridgeSession(), Models()
        await bridge.open(session)
        await bridge.performance(FakeContext(), PerformanceOptions(since=since))
        return session.asked_performance[0][1]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-11-01", 1793491200.0),
        ("2026-11-01T00:00:00Z", 1793491200.0),
        ("2026-11-01T01:00:00+01:00", 1793491200.0),
        (1793491200, 1793491200.0),
        (0.5, 0.5),
    ],
)
def test_since_is_a_day_a_time_or_seconds(since: Any, expected: float) -> None:
    assert asked_since(since) == expected


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", ""])
def test_a_time_that_is_none_is_told(since: str) -> None:
    with pytest.raises(ArgumentError, match="since must be a day such as '2026-11-01'"):
        asked_since(since)


@pytest.mark.parametrize("engine", ASK)
def test_scripts_read_how_models_have_done_in_the_cells_before(engine: str, tmp_path: Path) -> None:
    chat = {"lua": "llm.chat('a') llm.stream('b'):text()", "javascript": "await llm.chat('a'); await (await llm.stream('b')).text()"}[
        engine
    ]

    async def run() -> Any:
        async with Session(settings=Settings(model="spell/echo"), folder=tmp_path) as session:
            session.keep_journal()
            await session.run(chat, engine=engine)
            return await session.run(ASK[engine], engine=engine)

    result = asyncio.run(run())
    assert result.error is None, result.error
    values = result.values if engine == "lua" else result.values[0]
    assert values[0] == values[1] == values[3] == 2
    assert values[2] in ({}, []) and values[4] is True


@pytest.mark.parametrize(
    ("engine", "code"), [("lua", "models.performance{nam = 'x'}"), ("javascript", "await models.performance({nam: 'x'})")]
)
def test_an_unknown_option_is_named(engine: str, code: str, tmp_path: Path) -> None:
    async def run() -> Any:
        async with Session(folder=tmp_path) as session:
            return await session.run(code, engine=engine)

    error = asyncio.run(run()).error
    assert error is not None and "did you mean 'name'" in error.message
