"""A kernel whose workers are killed again and again, at random points: one typed reply a crash, and no memory or descriptor lost."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from figures import LANGUAGES, Figure, Language, Measure, Runs
from kernel_client import Kernel, memory_of

CRASHES = 500
"""In each language."""
WARM_UP = 50
FILLS = 13
"""So many cells of 9,000 calls fill the journal, which keeps the last 200,000 events; only then is a kernel as large as it gets."""
RSS_MORE = 5_000_000
SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)
LATEST_S = 0.03
"""Until then after its start a cell has printed, called the host and been answered many times."""
AGAIN_S = 1.0
"""A kill that came before the cell had reached its worker ends nothing of the cell; the next one does."""
BUSY = {
    "lua": "n = 0 while true do n = n + 1 print(n) timer.sleep(0) for i = 1, 1000 do n = n + i end end",
    "js": "var n = 0; for (;;) { n += 1; console.log(n); await timer.sleep(0); for (let i = 0; i < 1000; i++) n += i }",
}
FILL = {"lua": "for i = 1, 9000 do timer.sleep(0) end", "js": "for (let i = 0; i < 9000; i++) await timer.sleep(0)"}


def worker_in_use(kernel: Kernel) -> int | None:
    """The oldest: the spare was started when this one was taken.  None while none has begun."""
    workers = [child for child in psutil.Process(kernel.pid).children() if "llmspell_kernel.workers.child" in " ".join(child.cmdline())]
    return int(min(workers, key=lambda worker: worker.create_time()).pid) if workers else None


def crash(kernel: Kernel, language: Language, chance: random.Random) -> str:
    """Runs a cell without end, ends its worker, and gives the name of the error that came of it."""
    ended = threading.Event()

    def end_its_worker() -> None:
        pause = chance.uniform(0, LATEST_S)
        while not ended.wait(pause):
            with suppress(ProcessLookupError, psutil.Error):
                if (worker := worker_in_use(kernel)) is not None:
                    os.kill(worker, chance.choice(SIGNALS))
            pause = AGAIN_S

    killer = threading.Thread(target=end_its_worker)
    request = kernel.send(BUSY[language.short])
    killer.start()
    try:
        return str(kernel.reply_to(request).get("ename"))
    finally:
        ended.set()
        killer.join()
        kernel.until_idle(request)


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def settled(kernel: Kernel) -> tuple[int, int]:
    """RSS and number of descriptors once the state and its spare are there again."""
    kernel.must_run("1 + 1")
    time.sleep(1)
    return memory_of(kernel.pid).rss, descriptors(kernel.pid)


def crashes(language: Language, runs: Runs) -> Iterator[Figure]:
    count, chance = runs.of(CRASHES, quick=5), random.Random(1)
    with Kernel(language.kernel) as kernel:
        kernel.ready()
        for _ in range(runs.of(FILLS, quick=0)):
            kernel.must_run(FILL[language.short])
        for _ in range(runs.of(WARM_UP, quick=2)):
            crash(kernel, language, chance)
        rss_before, descriptors_before = settled(kernel)
        names = Counter(crash(kernel, language, chance) for _ in range(count))
        rss_after, descriptors_after = settled(kernel)
    grown, more = rss_after - rss_before, descriptors_after - descriptors_before
    others = {name: times for name, times in names.items() if name != "WorkerLost"}
    yield Figure(
        f"crashes.{language.short}",
        f"{count:,} workers killed at a random point of a {language.title} cell (SIGKILL, SIGSEGV, SIGABRT, SIGBUS)",
        f"{count:,} typed replies, RSS within {RSS_MORE / 1e6:g} MB, same number of descriptors",
        f"{names['WorkerLost']:,} WorkerLost{f', {others}' if others else ''}, RSS {grown / 1e6:+.1f} MB, descriptors {more:+d}",
        f"kernel with a full journal {rss_before / 1e6:.1f} MB, {descriptors_before} descriptors",
        not others and grown <= RSS_MORE and more == 0,
        {"rss_bytes": [rss_after], "plain_rss_bytes": [rss_before]},
    )


MEASURES: dict[str, Measure] = {f"crashes.{language.short}": partial(crashes, language) for language in LANGUAGES}
