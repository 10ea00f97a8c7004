"""A script that gives up thousands of effects at once holds up nobody."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import cast

import pytest

from llmspell_kernel.journal.events import CallStarted
from llmspell_kernel.journal.recorder import Recorder
from llmspell_kernel.protocol.steps import Answer, Effect, Suspended
from llmspell_kernel.session.cell_run import CellRun
from llmspell_kernel.session.exchange import Exchange
from llmspell_kernel.session.resources import ResourceTable
from llmspell_kernel.testing.chaos import open_calls

from ..session.world import ENGINES, LIMITS, world

MANY = {
    "lua": """
        local tasks = {}
        for i = 1, 900 do tasks[i] = async.spawn(function() probe.hang() end) end
        probe.echo(1)
        for _, task in ipairs(tasks) do task:cancel() end
        return probe.echo("alive")""",
    "javascript": """
        const control = new AbortController(), all = [];
        for (let i = 0; i < 900; i++) all.push(probe.hang({ signal: control.signal }).catch(() => 0));
        await probe.echo(1);
        control.abort();
        await Promise.all(all);
        await probe.echo('alive')""",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_host_ends_each_effect_that_is_given_up_and_the_cell_goes_on(engine: str) -> None:
    async def run() -> None:
        async with world(limits=LIMITS._replace(calls_in_flight=1_000)) as made, asyncio.timeout(30):
            outcome = await made.session.run(MANY[engine], engine=engine)
            assert outcome.error is None
            assert outcome.values == ["alive"]
            begun = [event for event in made.session.recorder if isinstance(event, CallStarted) and event.method == "hang"]
            assert made.probe.cancelled == len(begun) > 0  # the others were given up before their turn had come
            assert open_calls(made.session.recorder) == []

    asyncio.run(run())


def test_fifty_thousand_answers_that_nobody_wants_any_more_are_forgotten_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one it was 14 seconds, in which the kernel answered nobody; at once it is a hundredth of one."""
    count = 50_000

    async def answer(run: CellRun, effect: Effect, within: None) -> Answer:
        return Answer(effect.id)

    async def run() -> None:
        monkeypatch.setattr("llmspell_kernel.session.effects.answer", answer)
        exchange = Exchange("lua", ResourceTable(Recorder(), LIMITS.bridge_close_s), LIMITS.value_bytes)
        limits = LIMITS._replace(calls_in_flight=count, call_bytes=10 * count)
        cell = cast(CellRun, SimpleNamespace(limits=limits, asks_within=None))  # what answers is ours
        exchange.take(Suspended([Effect(number, "probe", "echo") for number in range(1, count + 1)]), cell)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert exchange.has_message
        started = time.monotonic()
        exchange.take(Suspended(abandoned=list(range(1, count + 1))), cell)
        assert not exchange.has_message
        assert time.monotonic() - started < 3

    asyncio.run(run())
