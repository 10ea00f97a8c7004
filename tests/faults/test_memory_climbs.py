"""Memory that climbs meets its cap: in the script by its engine, in the host by what is kept of effects."""

from __future__ import annotations

import asyncio
import gc

import psutil  # type: ignore[import-untyped]
import pytest

from llmspell_kernel.errors import LimitError, WorkerLost
from llmspell_kernel.journal.recorder import MAX_BYTES
from llmspell_kernel.policy.limits import MiB
from llmspell_kernel.testing.chaos import open_calls

from ..session.world import ENGINES, LIMITS, world

CAP = 32 * MiB
WIDE = {"script_time_s": 100, "instructions": 10**12, "tasks": 10**9, "effects_per_s": 1e9, "calls_in_flight": 10**6}
"""Whatever else would end a climb before its memory does."""
CLIMB = {
    "lua": {
        "tables": "t = {} for i = 1, 1e9 do t[i] = {i} end",
        "text": "s = 'x' while true do s = s .. s end",
        "closures": "local f = print while true do local g = f f = function() return g end end",
        "coroutines": "t = {} while true do t[#t + 1] = coroutine.create(print) end",
    },
    "javascript": {
        "objects": "var t = []; for (;;) t.push({a: [t.length]})",
        "text": "var s = 'xy'; for (;;) s = (s + s).toUpperCase()",
        "closures": "let f = 1; for (;;) { const g = f; f = () => g }",
        "promises": "var t = []; for (;;) t.push(new Promise(() => {}))",
        "buffers": "var t = []; for (;;) t.push(new Uint8Array(1e6))",
    },
}
SMALL_EFFECTS = {
    "lua": "local s = ('x'):rep(8000) for i = 1, {n} do probe.echo(s) end return 'done'",
    "javascript": "const s = 'x'.repeat(8000); for (let i = 0; i < {n}; i++) await probe.echo(s); 'done'",
}
KEEP_ASKING = {
    "lua": "local n = 0 while true do n = n + 1 if not pcall(probe.echo, n) and n > 3000 then error('gave up after ' .. n) end end",
    "javascript": "for (let n = 1;; n++) { try { await probe.echo(n) } catch (e) { if (n > 3000) throw new Error('gave up after ' + n) } }",
}
HOST_GROWTH = MAX_BYTES + 32 * MiB
"""A whole journal, and what Python does not give back at once."""


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


@pytest.mark.parametrize(("engine", "name"), [(engine, name) for engine in ENGINES for name in CLIMB[engine]])
def test_a_climb_in_the_script_is_a_limit_error_with_its_cap_and_the_host_does_not_grow(engine: str, name: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(memory_bytes=CAP, **WIDE)) as made:
            assert (await made.session.run("", engine=engine)).error is None
            before = resident()
            outcome = await made.session.run(CLIMB[engine][name], engine=engine)
            assert isinstance(outcome.error, (LimitError, WorkerLost)), outcome
            if isinstance(outcome.error, LimitError):
                assert str(CAP) in outcome.error.message or "memory" in outcome.error.message
            assert resident() - before < 16 * MiB
            assert (await made.session.run("", engine=engine)).error is None

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_many_small_effects_leave_no_more_than_a_journal_in_the_host(engine: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(effects=10_000_000, **WIDE)) as made:
            await made.session.run(SMALL_EFFECTS[engine].format(n=500), engine=engine)
            before = resident()
            outcome = await made.session.run(SMALL_EFFECTS[engine].format(n=10_000), engine=engine)
            assert outcome.values == ["done"], outcome
            assert resident() - before < HOST_GROWTH
            assert made.session.recorder.bytes <= MAX_BYTES

    asyncio.run(play())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_that_goes_on_asking_over_its_limit_of_effects_is_ended(engine: str) -> None:
    async def play() -> None:
        async with world(limits=LIMITS._replace(effects=1_000)) as made:
            outcome = await made.session.run(KEEP_ASKING[engine], engine=engine)
            assert isinstance(outcome.error, LimitError) and outcome.error.limit == "effects", outcome
            assert len(made.probe.calls) == 1_000
            assert open_calls(made.session.recorder) == []

    asyncio.run(play())
