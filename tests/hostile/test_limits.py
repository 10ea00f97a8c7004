"""Every limit of a cell passes through every construct that catches errors: the cell ends with that limit, and the state stays."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import LimitError
from llmspell_kernel.policy.limits import PRESETS, Limits, MiB
from llmspell_kernel.session import Session

from ..session.world import Probe

CASES: Mapping[str, Any] = tomllib.loads((Path(__file__).parent / "limit_cases.toml").read_text("utf-8"))
ENGINES = ("lua", "javascript")
LOW: Mapping[str, int] = {
    "instructions": 3_000_000,
    "effects": 50,
    "calls_in_flight": 40,
    "call_bytes": 100_000,
    "tasks": 60,
    "memory_bytes": 16 * MiB,
}
"""Each is tried with the others at their defaults."""
KEEP = {"lua": "kept = 7", "javascript": "globalThis.kept = 7"}
KEPT = {"lua": "return kept", "javascript": "kept"}


def combinations() -> Iterator[Any]:
    for limit, exceed in CASES["exceed"].items():
        for engine in ENGINES:
            for name, construct in CASES[engine].items():
                if engine in exceed and limit in construct.get("only", LOW):
                    code = construct["code"].replace("@EXCEED@", exceed[engine])
                    yield pytest.param(limit, engine, code, id=f"{limit}-{engine}-{name}")


class Sessions:
    """One session for each limit, with a state for each case."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self._made: dict[str, Session] = {}
        self._states = 0

    def with_low(self, limit: str) -> Session:
        if limit not in self._made:
            self._made[limit] = self.runner.run(self._session(PRESETS["standard"]._replace(**{limit: LOW[limit]})))
        return self._made[limit]

    @staticmethod
    async def _session(limits: Limits) -> Session:
        return Session(bridges=[Probe()], limits=limits._replace(script_time_s=10, total_time_s=20))

    def fresh_state(self) -> str:
        self._states += 1
        return f"state_{self._states}"

    def close(self) -> None:
        for session in self._made.values():
            self.runner.run(session.close())
        self.runner.close()


@pytest.fixture(scope="module")
def sessions() -> Iterator[Sessions]:
    made = Sessions()
    yield made
    made.close()


@pytest.mark.parametrize(("limit", "engine", "code"), list(combinations()))
def test_a_limit_passes_through_whatever_catches_errors_and_the_state_stays(sessions: Sessions, limit: str, engine: str, code: str) -> None:
    session, state = sessions.with_low(limit), sessions.fresh_state()

    async def play() -> None:
        (await session.run(KEEP[engine], engine=engine, state=state)).raise_for_error()
        worker = session.states[state, engine].worker
        result = await session.run(code, engine=engine, state=state)
        assert isinstance(result.error, LimitError), result
        assert (result.error.limit, result.error.value) == (limit, LOW[limit])
        assert result.error.used >= LOW[limit]
        assert f"%llmspell config limits.{limit}=" in result.error.message
        assert session.background == []
        after = await session.run(KEPT[engine], engine=engine, state=state)
        assert after.values == [7], after
        assert session.states[state, engine].worker is worker
        await session.forget(state, engine)

    sessions.runner.run(play())
