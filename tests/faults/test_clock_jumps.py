"""The clock of the machine jumps: no timer fires early or late, no limit is met by it, and what is told of a run stays true."""

from __future__ import annotations

import asyncio
import time

import pytest

from llmspell_kernel.journal.events import CallFinished, CellFinished

from ..session.world import ENGINES, LIMITS, Probe, world

DAY_S = 86_400.0
CODE = {
    "lua": "probe.wait(0.2) timer.sleep(0.2) return 'done'",
    "javascript": "await probe.wait(0.2); await timer.sleep(0.2); 'done'",
}


class Jumping(Probe):
    """Its call makes the clock jump while it waits."""

    def __init__(self, jump_s: float) -> None:
        super().__init__()
        self.jump_s = jump_s
        self.offset_s = 0.0
        self.real = time.time

    def now(self) -> float:
        return self.real() + self.offset_s


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S, 3600.0, -3600.0], ids=["a day on", "a day back", "summer", "winter"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_takes_what_it_takes(monkeypatch: pytest.MonkeyPatch, engine: str, jump_s: float) -> None:
    async def play() -> None:
        probe = Jumping(jump_s)
        monkeypatch.setattr(time, "time", probe.now)
        async with world(probe=probe, limits=LIMITS._replace(script_time_s=2, total_time_s=10)) as made, asyncio.timeout(30):
            await made.session.run("", engine=engine)
            running = asyncio.ensure_future(made.session.run(CODE[engine], engine=engine))
            await probe.called.wait()
            probe.offset_s = jump_s
            started = time.monotonic()
            outcome = await running
            assert outcome.value == "done", outcome
            assert 0.35 < time.monotonic() - started < 8
            assert 0.35 < outcome.duration_s < 8
            assert outcome.metrics.script_time_s < 2
            calls = made.events(CallFinished)
            assert all(0.15 < event.duration_s < 5 for event in calls) and len(calls) == 2
            assert all(event.duration_s >= 0 for event in made.events(CellFinished))

    asyncio.run(play())
