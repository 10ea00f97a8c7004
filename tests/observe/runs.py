"""Cells of a real session with real workers, observed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from llmspell_kernel import Bridge
from llmspell_kernel.observe.observation import Observation
from llmspell_kernel.policy.observe import ObservePolicy
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.settings import Settings

LUA = {"engine": "lua"}
JAVASCRIPT = {"engine": "javascript"}


def observed(
    policy: ObservePolicy, *cells: str, engine: str = "lua", settings: Settings | None = None, bridges: tuple[Bridge, ...] = (), **how: Any
) -> list[ExecutionResult]:
    """The results of cells that ran one after the other in one state; everything is told when it returns."""

    async def run() -> list[ExecutionResult]:
        observation = Observation(policy, os.environ)
        async with Session(settings=settings or Settings(model="spell/echo"), bridges=bridges, folder=Path.cwd(), **how) as session:
            observation.start(session.recorder)
            results = [
                await session.run(code, engine=engine, chunk=f"cell[{number}]", sink=session.sink) for number, code in enumerate(cells, 1)
            ]
            await session.background_ended()
        observation.close()
        return results

    return asyncio.run(run())
