"""A worker that is killed, aborts, crashes or is stopped: one typed error that names the signal, and its state comes back."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from llmspell_kernel.errors import LimitError, WorkerLost
from llmspell_kernel.journal.events import WorkerWasLost
from llmspell_kernel.testing.chaos import SIGNALS, Chaos, open_calls, open_cells

from ..session.world import ENGINES as LANGUAGES
from ..session.world import LIMITS, world
from ..workers.processes import Watch
from .kernels import KEEP, KEPT

ENDING = [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGBUS, signal.SIGFPE]
LOOP = {
    "lua": "print(1) while true do pcall(string.rep, 'x', 10) end",
    "js": "console.log(1); await sleep(0); for (;;) { [1].map(String) }",
}
WAIT = {"lua": "print(1) sleep(1)", "js": "console.log(1); await sleep(1)"}
CALLS = {
    "lua": "for i = 1, 20 do probe.echo(i) end return 'done'",
    "javascript": "for (let i = 1; i <= 20; i++) await probe.echo(i); 'done'",
}


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
@pytest.mark.parametrize("where", [LOOP, WAIT], ids=["running", "waiting"])
def test_a_worker_that_ends_is_named_with_its_signal_and_its_state_comes_back(kernel, engine, number, where):
    kernel.cell(engine, KEEP[engine])
    worker = kernel.worker(engine)
    request = kernel.begin(engine, where[engine])
    kernel.wait_until("stream", request)
    os.kill(worker, number)
    ran = kernel.wait(request)
    language = {"lua": "lua", "js": "javascript"}[engine]
    assert ran.reply["ename"] == "WorkerLost"
    assert f"signal {number.name}" in ran.error["evalue"]
    assert f"the {language} state 'main' was lost, and is restored before its next cell" in str(ran.error)
    again = kernel.cell(engine, KEPT[engine])
    assert again.result == "5" and "state restored: " in again.stream("stderr")
    kernel.survived(ran)


@pytest.mark.parametrize("where", [LOOP, WAIT], ids=["running", "waiting"])
def test_a_worker_that_is_stopped_is_found_by_its_deadline(kernel, engine, where):
    kernel.settings("limits.script_time_s=0.5")
    worker = kernel.worker(engine) if kernel.cell(engine, KEEP[engine]).status == "ok" else 0
    request = kernel.begin(engine, where[engine])
    kernel.wait_until("stream", request)
    os.kill(worker, signal.SIGSTOP)
    ran = kernel.wait(request)
    assert ran.reply["ename"] == "LimitError" and "more than its 0.5 s" in ran.error["evalue"]
    assert "was lost, and is restored before its next cell" in ran.error["evalue"]
    assert kernel.cell(engine, KEPT[engine]).result == "5"
    kernel.survived(ran)
    kernel.settings("limits.script_time_s=20")


def test_one_that_ends_between_two_cells_is_told_by_the_next(kernel, engine):
    kernel.cell(engine, KEEP[engine])
    worker = kernel.worker(engine)
    watch = Watch(worker)
    os.kill(worker, signal.SIGSEGV)
    assert watch.ended_within(5)
    watch.close()
    kernel.run("1")  # meanwhile the kernel's event loop learns of it
    ran = kernel.cell(engine, KEPT[engine])
    assert ran.status == "ok" and ran.result == "5"
    assert "state restored: " in ran.stream("stderr")
    kernel.survived(ran)


def strikes(engine: str, seeds: range) -> None:
    """Each at a random effect of a cell with twenty; the seed makes it happen again."""

    async def play() -> None:
        async with world(limits=LIMITS._replace(script_time_s=0.3)) as made:
            for seed in seeds:
                chaos = Chaos(made.session, seed)
                number = SIGNALS[seed % len(SIGNALS)]
                at = chaos.at_random_effect(number, of=20)
                async with asyncio.timeout(10):
                    outcome = await made.session.run(CALLS[engine], engine=engine)
                chaos.close()
                told = f"{number.name} at effect {at} (seed {seed}): {outcome!r}"
                assert len(chaos.struck) == 1, told
                wanted = LimitError if number is signal.SIGSTOP else WorkerLost
                assert isinstance(outcome.error, wanted), told
                assert number is signal.SIGSTOP or outcome.error.reason == f"signal {number.name}", told
                assert "was lost with its variables" in outcome.error.message, told
            assert open_calls(made.session.recorder) == open_cells(made.session.recorder) == []
            assert len(made.events(WorkerWasLost)) == len(seeds)
            assert (await made.session.run(CALLS[engine], engine=engine)).values == ["done"]

    asyncio.run(play())


@pytest.mark.parametrize("engine", LANGUAGES)
def test_struck_at_a_random_effect_each_cell_has_one_typed_end(engine: str) -> None:
    strikes(engine, range(18))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", LANGUAGES)
def test_five_hundred_strikes_have_five_hundred_typed_ends(engine: str) -> None:
    strikes(engine, range(500))
