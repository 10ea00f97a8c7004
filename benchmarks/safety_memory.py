"""Scripts that take all the memory they can get: what the engine counts, and how far the worker's process grows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from attack_texts import attacks_of
from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable, median

from llmspell_kernel.policy.limits import MiB, limits_of
from llmspell_kernel.session import Session

CAP_BYTES = 64 * MiB
GROWTH_SHARE, GROWTH_MORE = 1.35, 8 * MiB
GROWTH_MOST = GROWTH_SHARE * CAP_BYTES + GROWTH_MORE
SCRIPT_S = 1.0
SAMPLE_S = 0.002
PROGRAM = Path(__file__).parent / "engine_memory.py"


def climbs(language: Language, runs: Runs) -> Mapping[str, Sequence[str]]:
    found = attacks_of(language, "memory")
    return dict(list(found.items())[: runs.of(len(found), quick=3)])


def counted(language: Language, runs: Runs) -> Iterator[Figure]:
    """A process of its own for each attack: one may be stuck in native code, and is then ended here."""
    held: dict[str, int] = {}
    for name, cells in climbs(language, runs).items():
        command = [sys.executable, str(PROGRAM), language.engine, str(CAP_BYTES), str(SCRIPT_S)]
        with suppress(subprocess.TimeoutExpired):
            done = subprocess.run(command, input=json.dumps({name: cells}), capture_output=True, text=True, timeout=60)
            if done.returncode != 0:
                raise Unmeasurable(f"{name}: exit status {done.returncode}: {done.stderr.strip()[-200:]}")
            held[name] = json.loads(done.stdout)[name][0]
    worst = max(held, key=lambda name: held[name])
    yield Figure(
        f"memory.counted_{language.short}",
        f"{len(held)} climbs of memory in {language.title} under a cap of {CAP_BYTES // MiB} MiB: the most that the engine's own accounting held",
        "never over the cap",
        f"worst {held[worst] / MiB:.1f} MiB ({worst})",
        f"median {median(list(held.values())) / MiB:.1f} MiB",
        held[worst] <= CAP_BYTES,
        {"bytes": list(held.values())},
    )


async def peak_rss(pid: int) -> int:
    """The most that a process has had, by the kernel's own high-water mark, until this is cancelled or the process is gone."""
    peak = 0
    with suppress(asyncio.CancelledError, OSError, StopIteration):
        while True:
            peak = max(peak, status_of(pid, "VmHWM"))
            await asyncio.sleep(SAMPLE_S)
    return peak


def status_of(pid: int, field: str) -> int:
    """Bytes, by a field of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) * 1024


async def growth(session: Session, engine: str, name: str, cells: Sequence[str]) -> int:
    """By how much the worker of a fresh state grew at most while the cells ran."""
    await session.run("", engine=engine, state=name)
    worker = session.states[(name, engine)].worker
    if worker is None:
        raise Unmeasurable("a new state has no worker")
    before = status_of(worker.pid, "VmRSS")
    sampler = asyncio.create_task(peak_rss(worker.pid))
    for cell in cells:
        await session.run(cell, engine=engine, state=name)
    sampler.cancel()
    peak = await sampler
    await session.forget(name, engine)
    return peak - before


async def grown(language: Language, attacks: Mapping[str, Sequence[str]]) -> dict[str, int]:
    limits = limits_of("standard", {"memory_bytes": CAP_BYTES, "script_time_s": SCRIPT_S})
    async with Session(limits=limits) as session:
        return {name: await growth(session, language.engine, name, cells) for name, cells in attacks.items()}


def process(language: Language, runs: Runs) -> Iterator[Figure]:
    found = asyncio.run(grown(language, climbs(language, runs)))
    worst = max(found, key=lambda name: found[name])
    yield Figure(
        f"memory.process_{language.short}",
        f"the same in a worker: growth of its process, {len(found)} climbs",
        f"<= {GROWTH_SHARE}x the cap + {GROWTH_MORE // MiB} MiB = {GROWTH_MOST / MiB:.0f} MiB",
        f"worst {found[worst] / MiB:.1f} MiB ({worst})",
        f"median {median(list(found.values())) / MiB:.1f} MiB",
        found[worst] <= GROWTH_MOST,
        {"bytes": list(found.values())},
    )


MEASURES: dict[str, Measure] = {
    **{f"memory.counted_{language.short}": partial(counted, language) for language in LANGUAGES},
    **{f"memory.process_{language.short}": partial(process, language) for language in LANGUAGES},
}
