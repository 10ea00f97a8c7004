"""One real session for all cases, with a fresh state for each."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from llmspell_kernel.journal.events import CallChunk
from llmspell_kernel.render.shown import shown_bundle
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.shown import Shown

from .case_files import Case, value_of
from .engines import CASES_OF, REGISTRY
from .probe import Probe
from .typed import Typed
from .web_site import web_site

CASE_TIMEOUT_S = 30.0
T = TypeVar("T")


SECRET = "tok-0f-the-c0nformance-cases"


class Printed:
    """A sink that remembers.  The language's own word for nothing, which must come with all that is shown, is read as NOTHING."""

    def __init__(self, null: str) -> None:
        self._null = null
        self.pieces: list[tuple[str, str]] = []

    def write(self, stream: str, text: str) -> None:
        self.pieces.append((stream, text))

    def show(self, shown: Shown, null: str) -> int:
        assert null == self._null
        self.pieces.append(("shown", shown_bundle(shown, "NOTHING")["text/plain"] + "\n"))
        return 0

    def clear(self) -> None:
        self.pieces.append(("clear", ""))


class World:
    """A session and the loop it lives in."""

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self.probe = Probe()
        self.site = web_site()
        self.session = self.run(self._open(folder))
        self._states = 0

    async def _open(self, folder: Path) -> Session:
        await self.site.__aenter__()
        self.probe.address = self.site.address
        settings = Settings(network={"allow_private": (self.site.authority,), "requests_per_s": 1_000.0})
        session = Session(settings=settings, bridges=[self.probe, Typed()], engines=REGISTRY, folder=folder)
        # all that is shown and answered is looked through for it, and nothing else may change by that
        session.secrets.set("token", SECRET, hosts=["api.example.com"])
        return session

    def run(self, awaitable: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(awaitable)

    def close(self) -> None:
        self.run(self.session.close())
        self.run(self.site.__aexit__())
        self._runner.close()

    def fresh_state(self) -> str:
        self._states += 1
        return f"state_{self._states}"

    def facts(self, engine: str) -> Mapping[str, str | bool]:
        return self.run(self._facts(engine))

    async def _facts(self, engine: str) -> Mapping[str, str | bool]:
        state = self.fresh_state()
        await self.session.run("", engine=engine, state=state)
        worker = self.session._states[state, engine].worker
        assert worker is not None
        facts = worker.engines[engine]
        await self.session.forget(state, engine)
        return facts

    def play(self, case: Case, engine: str) -> Played:
        return self.run(self._play(case, engine))

    async def _play(self, case: Case, engine: str) -> Played:
        self.probe.forget()
        written_in = CASES_OF.get(engine, engine)  # an engine made of another's has that one's `require`
        for name, source in case.modules(engine).items():
            self.session.add_module(name, source, written_in)
        printed = Printed(self.session.engines.get(engine).null)
        code = case.code(engine)
        prefix = self.fresh_state()
        states = [prefix + name for name in case.raw.get("states", [""] * len(code))]
        outcomes = []
        try:
            async with asyncio.timeout(CASE_TIMEOUT_S):
                for index, (cell, chunk, state) in enumerate(zip(code, case.chunks(len(code)), states, strict=True)):
                    last = self._last_arguments(case) if index == len(code) - 1 else {}
                    outcomes.append(await self.session.run(cell, engine=engine, state=state, chunk=chunk, sink=printed, **last))
        finally:
            for state in set(states):
                await self.session.forget(state, engine)
            for name in case.modules(engine):
                self.session.modules.remove(name, written_in)
        events = [event for outcome in outcomes for event in self.session.recorder.of_cell(outcome.cell)]
        chunks = [event.text for event in events if isinstance(event, CallChunk)]
        return Played(outcomes, printed.pieces, chunks)

    @staticmethod
    def _last_arguments(case: Case) -> dict[str, Any]:
        return {
            "inputs": {name: value_of(item) for name, item in case.raw.get("inputs", {}).items()},
            "outputs": case.raw.get("outputs", []),
            "line_offset": case.raw.get("line_offset", 0),
        }


class Played:
    """What came of a case: an outcome for each cell, all printed pieces, all chunks of answers."""

    def __init__(self, outcomes: list[ExecutionResult], printed: list[tuple[str, str]], chunks: list[str]) -> None:
        self.outcomes = outcomes
        self.printed = printed
        self.chunks = chunks
