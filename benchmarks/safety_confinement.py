"""What confinement costs: cells and worker starts with it and without it, in turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable, median, ms
from kernel_client import Kernel

from llmspell_kernel.engines import discover
from llmspell_kernel.policy.layers import confinement_of
from llmspell_kernel.workers.spawn import WorkerProcess
from llmspell_kernel.workers.worker import Worker

CELLS, ROUNDS = 100, 15
SLOWER_MOST = 0.05
START_MORE_S = 0.005
STARTUP_S = 10.0
MODES = ("off", "auto")
WORK = {
    "lua": "local t = {} for i = 1, 300 do t[i] = ('x'):rep(i) end return #table.concat(t)",
    "js": "const t = []; for (let i = 1; i <= 300; i++) t.push('x'.repeat(i)); t.join('').length",
}


def round_of(kernel: Kernel, code: str, cells: int) -> float:
    """Seconds that so many cells take, one after the other."""
    started = time.perf_counter()
    for _ in range(cells):
        kernel.must_run(code)
    return time.perf_counter() - started


def throughput(language: Language, runs: Runs) -> Iterator[Figure]:
    cells = runs.of(CELLS, quick=5)
    taken: dict[str, list[float]] = {mode: [] for mode in MODES}
    with ExitStack() as stack:
        kernels = {mode: stack.enter_context(Kernel(language.kernel, {"LLMSPELL_CONFINEMENT": mode})) for mode in MODES}
        for kernel in kernels.values():
            round_of(kernel.ready(), WORK[language.short], 5)
        for number in range(runs.of(ROUNDS, quick=2)):
            for mode in MODES if number % 2 else MODES[::-1]:
                taken[mode].append(round_of(kernels[mode], WORK[language.short], cells) / cells)
    slower = median([on / off for on, off in zip(taken["auto"], taken["off"], strict=True)]) - 1
    yield Figure(
        f"confinement.cells_{language.short}",
        f"{language.title} cells one after the other, confinement on against off, {len(taken['off'])} rounds of {cells} in turns",
        f"<= {SLOWER_MOST:.0%} slower",
        f"{slower:+.1%} ({ms(median(taken['auto']))} a cell)",
        f"off {ms(median(taken['off']))} a cell",
        slower <= SLOWER_MOST,
        {"seconds": taken["auto"], "plain_seconds": taken["off"]},
    )


async def start_once(layers: tuple[str, ...]) -> float:
    engines = discover()
    started = time.perf_counter()
    worker = Worker(WorkerProcess(engines, layers))
    try:
        await worker.started(STARTUP_S)
        taken = time.perf_counter() - started
        if missing := {name: why for name in layers if (why := worker.layers.get(name, "not reported"))}:
            raise Unmeasurable(f"this machine lacks layers of confinement: {missing}")
        return taken
    finally:
        worker.close()


async def starts(times: int) -> tuple[list[float], list[float]]:
    layers = confinement_of("standard").layers
    confined, plain = [], []
    await start_once(())
    for number in range(times):
        for on in (True, False) if number % 2 else (False, True):
            (confined if on else plain).append(await start_once(layers if on else ()))
    return confined, plain


def worker_start(runs: Runs) -> Iterator[Figure]:
    confined, plain = asyncio.run(starts(runs.of(30, quick=2)))
    more = median(confined) - median(plain)
    yield Figure(
        "confinement.start",
        f"start of a worker, confinement on against off, medians of {len(plain)} in turns",
        f"<= {ms(START_MORE_S)} more",
        f"{more * 1e3:+.1f} ms ({ms(median(confined))})",
        f"off {ms(median(plain))}",
        more <= START_MORE_S,
        {"seconds": confined, "plain_seconds": plain},
    )


MEASURES: dict[str, Measure] = {
    **{f"confinement.cells_{language.short}": partial(throughput, language) for language in LANGUAGES},
    "confinement.start": worker_start,
}
