"""What an idle kernel, a worker and a script state weigh."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable, median
from kernel_client import IPYKERNEL, Kernel, Memory, memory_of, memory_with_children

from llmspell_kernel.bridges._catalogue import worker_catalogue
from llmspell_kernel.policy.limits import PRESETS
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.protocol.steps import Finished
from llmspell_kernel.session import Session
from llmspell_kernel.workers.pool import WorkerPool
from llmspell_kernel.workers.worker import Worker

MB = 1_000_000
KERNEL_MOST, TREE_MOST = 1.3, 2.2
STATES = 50
STATE_MOST, WORKER_MOST = {"lua": 0.3 * MB, "js": 0.5 * MB}, 25 * MB
SETTLED_S = 1.0
"""After being ready, a kernel still starts its spare worker."""


class Weight(NamedTuple):
    kernel: Memory
    tree: Memory


def weigh(name: str, *cells: str) -> Weight:
    with Kernel(name) as kernel:
        kernel.ready()
        for cell in cells:
            kernel.must_run(cell)
        time.sleep(SETTLED_S)
        return Weight(memory_of(kernel.pid), memory_with_children(kernel.pid))


def kernels(runs: Runs) -> Iterator[Figure]:
    ours, used, theirs = [], [], []
    for _ in range(runs.of(5, quick=1)):
        ours.append(weigh("llmspell"))
        used.append(weigh("llmspell", "%%lua\n1 + 1"))
        theirs.append(weigh(IPYKERNEL))
    yield _ratio("memory.kernel_rss", "idle kernel process, RSS", KERNEL_MOST, [w.kernel.rss for w in ours], [w.kernel.rss for w in theirs])
    yield _ratio("memory.kernel_pss", "idle kernel process, PSS", KERNEL_MOST, [w.kernel.pss for w in ours], [w.kernel.pss for w in theirs])
    tree = [w.tree.pss for w in theirs]
    yield _ratio("memory.tree", "idle kernel with all its children, PSS", TREE_MOST, [w.tree.pss for w in ours], tree)
    yield _ratio(
        "memory.tree_used", "the same after a `%%lua` cell (its worker and the spare), PSS", TREE_MOST, [w.tree.pss for w in used], tree
    )


def _ratio(name: str, measure: str, most: float, ours: list[int], theirs: list[int]) -> Figure:
    ratio = median(ours) / median(theirs)
    measured, reference = f"{ratio:.2f}x ({median(ours) / MB:.1f} MB)", f"ipykernel {median(theirs) / MB:.1f} MB"
    return Figure(name, measure, f"<= {most}x ipykernel", measured, reference, ratio <= most, {"bytes": ours, "ipykernel_bytes": theirs})


async def grow(language: Language, states: int) -> tuple[int, int, int]:
    """RSS of a fresh worker, with one state that ran a cell, and with all of them."""
    session = Session()
    catalogue = json.dumps(worker_catalogue(tuple(session.declarations.values()))).encode()
    pool = WorkerPool(policy=WorkerPolicy(), startup_s=10.0)
    try:
        worker = await pool.take(keep_spare=False)
        if language.engine not in worker.engines:
            raise Unmeasurable(f"the worker has no engine '{language.engine}', only {', '.join(worker.engines)}")
        fresh = memory_of(worker.pid).rss
        await open_state(worker, language, 1, catalogue)
        one = memory_of(worker.pid).rss
        for number in range(2, states + 1):
            await open_state(worker, language, number, catalogue)
        return fresh, one, memory_of(worker.pid).rss
    finally:
        pool.close()
        await session.close()


async def open_state(worker: Worker, language: Language, number: int, catalogue: bytes) -> None:
    limits = PRESETS["standard"]
    options = {
        "state": number,
        "memory_bytes": limits.memory_bytes,
        "max_value_bytes": limits.value_bytes,
        "seed": number,
        "time_s": time.time(),
    }
    await worker.open(number, language.engine, catalogue, json.dumps(options).encode())
    step = await worker.begin(number, "1 + 1", "cell[1]")
    if not isinstance(step, Finished):
        raise Unmeasurable(f"a trivial {language.title} cell gave {step}")


def states(language: Language, runs: Runs) -> Iterator[Figure]:
    count = runs.of(STATES, quick=5)
    grown = [asyncio.run(grow(language, count)) for _ in range(runs.of(3, quick=1))]
    fresh, one, all_ = (median(column) for column in zip(*grown, strict=True))
    each = (all_ - one) / (count - 1)
    yield Figure(
        f"memory.state_{language.short}",
        f"a {language.title} state, RSS, from {count} in one worker",
        f"<= {STATE_MOST[language.short] / MB:g} MB",
        f"{each / MB:.2f} MB",
        f"{count} states {all_ / MB:.1f} MB",
        each <= STATE_MOST[language.short],
        {"bytes": [(last - first) / (count - 1) for _, first, last in grown]},
    )
    yield Figure(
        f"memory.worker_{language.short}",
        f"a worker with one {language.title} state, RSS",
        f"<= {WORKER_MOST / MB:g} MB",
        f"{one / MB:.1f} MB",
        f"a spare worker {fresh / MB:.1f} MB",
        one <= WORKER_MOST,
        {"bytes": [first for _, first, _ in grown], "spare_bytes": [bare for bare, _, _ in grown]},
    )


MEASURES: dict[str, Measure] = {
    "memory.kernel": kernels,
    **{f"memory.state_{language.short}": partial(states, language) for language in LANGUAGES},
}
