"""What fails in the background is told within the limit of output, however much and however often it fails."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.errors import RemoteProtocolError
from llmspell_kernel.protocol.messages import MAX_FAILED, MAX_RETURNED, MAX_TASKS, Stepped, clipped
from llmspell_kernel.protocol.steps import Background, Fault, Finished, Returned, Suspended

from ..session.world import ENGINES, LIMITS, world

LOUD = {
    "lua": "for i = 1, 60 do async.background(function() timer.sleep(0.01 * i) error(string.rep('x', 60000)) end) end",
    "javascript": """
        for (let i = 1; i <= 600; i++) async.background(async () => { await timer.sleep(0.005 * i); throw new Error('x'.repeat(9000)) })
        0""",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_errors_of_background_work_count_as_output(engine: str) -> None:
    async def run() -> None:
        async with world(limits=LIMITS._replace(output_bytes=200_000, calls_in_flight=2_000)) as made, asyncio.timeout(30):
            assert (await made.session.run(LOUD[engine], engine=engine)).error is None
            await made.session.background_ended()
            told = made.sink.text("stderr")
            assert "background work failed" in told
            assert len(told) < 221_000
            assert "[output over 200000 bytes is not shown, but for its end]" in told

    asyncio.run(run())


def test_of_a_hostile_workers_million_faults_only_some_are_looked_at() -> None:
    background = Background(failed=[Fault("", "")] * 1_000_000, tasks=["x"] * 1_000_000)
    message = clipped(Stepped(1, Finished(background=background)))
    assert isinstance(message, Stepped)
    assert isinstance(message.step, Finished)
    assert message.step.background is not None
    assert len(message.step.background.failed) == MAX_FAILED
    assert len(message.step.background.tasks) == MAX_TASKS


def test_a_hostile_worker_that_returns_more_calls_than_there_can_be_breaks_the_protocol() -> None:
    returned = [Returned(1, fault=Fault("", ""))] * (MAX_RETURNED + 1)
    for step in (Suspended(returned=returned), Finished(background=Background(returned=returned))):
        with pytest.raises(RemoteProtocolError):
            clipped(Stepped(1, step))
