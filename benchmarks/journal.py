"""What it costs to record calls, to replay them, and to bring a state back."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from figures import LANGUAGES, Figure, Language, Measure, Runs, median, ms

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.journal.events import CellFinished, StateRestored
from llmspell_kernel.session import Session
from llmspell_kernel.session.taping import Mode

CALLS, KIB = 500, 1024
RECORD_MOST_S, REPLAY_MOST_S = 30e-6, 100e-6
CELL_CALLS, CELL_WAIT_S, CELL_MOST = 40, 0.005, 0.03
CELLS, CELL_EFFECTS, RESTORE_MOST_S = 20, 5, 0.15
ONE_KIB = {
    "lua": "local text = ('x'):rep(1024); for i = 1, {n} do kib.back(text) end",
    "js": "{{ const text = 'x'.repeat(1024); for (let i = 0; i < {n}; i++) await kib.back(text) }}",
}
WAITING = {"lua": "for i = 1, {n} do kib.later('x') end", "js": "for (let i = 0; i < {n}; i++) await kib.later('x')"}
STEP = {"lua": "n = (n or 0) + #kib.back('x' .. {i})", "js": "n = (globalThis.n || 0) + (await kib.back('x' + {i})).length"}


class Kib(Bridge):
    """Gives back what it gets."""

    name = "kib"

    def __init__(self) -> None:
        self.asked: list[float] = []

    @method
    async def back(self, ctx: Context, text: str) -> str:
        """The same text."""
        self.asked.append(time.perf_counter())
        return text

    @method
    async def later(self, ctx: Context, text: str) -> str:
        """The same text, after five milliseconds: a fast model."""
        await asyncio.sleep(CELL_WAIT_S)
        return text


class Taken(NamedTuple):
    """How long a cell took whose state was there, and from each of its calls that was made to the next."""

    cell_s: float
    between_s: list[float]


async def _cell(language: Language, code: str, mode: Mode | None, file: Path) -> Taken:
    bridge = Kib()
    async with Session(bridges=[bridge]) as session:
        await session.run("1" if language.short == "js" else "return 1", engine=language.engine)
        if mode is not None:
            session.tape(mode, file)
        started = time.perf_counter()
        result = await session.run(code, engine=language.engine)
        taken = time.perf_counter() - started
        result.raise_for_error()
        return Taken(taken, [later - earlier for earlier, later in pairwise(bridge.asked)])


def _rounds(language: Language, code: str, modes: Sequence[Mode | None], rounds: int) -> dict[Mode | None, list[Taken]]:
    """Side by side: each round has a cell of every kind, so that a slow moment of the machine meets them all."""
    taken: dict[Mode | None, list[Taken]] = {mode: [] for mode in modes}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.cassette.jsonl"
        for _ in range(rounds):
            for mode in modes:
                taken[mode].append(asyncio.run(_cell(language, code, mode, file)))
    return taken


def effect(language: Language, runs: Runs) -> Iterator[Figure]:
    """A recorded call by the time from each to the next: its p50 is without the cell's own flush to the disk, which `cell` has.  A replayed
    call reaches no bridge, so it is a part of its cell's time."""
    calls = runs.of(CALLS, quick=20)
    taken = _rounds(language, ONE_KIB[language.short].format(n=calls), (None, "record", "replay"), runs.of(15, quick=2))
    between = {mode: [median(one.between_s) for one in taken[mode]] for mode in (None, "record")}
    yield _added(language, "record", "recorded", RECORD_MOST_S, between[None], between["record"])
    cells = {mode: [one.cell_s / calls for one in taken[mode]] for mode in (None, "replay")}
    yield _added(language, "replay", "replayed", REPLAY_MOST_S, cells[None], cells["replay"])


def _added(language: Language, mode: str, name: str, most_s: float, plain: list[float], taped: list[float]) -> Figure:
    added = median([one - other for one, other in zip(taped, plain, strict=True)])
    return Figure(
        f"journal.{mode}_{language.short}",
        f"{language.title}: an effect of 1 KB that is {name}, beside the same that is not (p50)",
        f"<= {most_s * 1e6:.0f} µs more",
        f"{added * 1e6:+.0f} µs",
        f"{median(plain) * 1e6:.0f} µs",
        added <= most_s,
        {"plain_s": plain, f"{mode}_s": taped},
    )


def cell(language: Language, runs: Runs) -> Iterator[Figure]:
    calls = runs.of(CELL_CALLS, quick=4)
    taken = _rounds(language, WAITING[language.short].format(n=calls), (None, "record"), runs.of(15, quick=2))
    seconds = {mode: [one.cell_s for one in of_mode] for mode, of_mode in taken.items()}
    plain, recorded = median(seconds[None]), median(seconds["record"])
    yield Figure(
        f"journal.cell_{language.short}",
        f"{language.title}: a cell of {CELL_CALLS} calls of 5 ms that is recorded",
        f"<= {CELL_MOST:.0%} more",
        f"{recorded / plain - 1:+.1%}",
        ms(plain),
        recorded / plain - 1 <= CELL_MOST,
        {"plain_s": seconds[None], "record_s": seconds["record"]},
    )


async def _restored_s(language: Language) -> tuple[float, float]:
    """How long a state of many cells takes to come back, and how long its cells' own scripts ran."""
    async with Session(bridges=[Kib()]) as session:
        for _ in range(CELLS):
            code = "\n".join(STEP[language.short].format(i=number) for number in range(CELL_EFFECTS))
            result = await session.run(code, engine=language.engine)
            result.raise_for_error()
        script_s = sum(event.script_time_s for event in session.recorder if isinstance(event, CellFinished))
        worker = session.states["main", language.engine].worker
        assert worker is not None
        gone = asyncio.Event()
        worker.on_lost[-1] = gone.set
        os.kill(worker.pid, signal.SIGKILL)
        await gone.wait()
        await session.get("n", engine=language.engine)
        (restored,) = [event for event in session.recorder if isinstance(event, StateRestored)]
        assert restored.cells == CELLS and not restored.left_out
        return restored.duration_s, script_s


def recovery(language: Language, runs: Runs) -> Iterator[Figure]:
    taken = [asyncio.run(_restored_s(language)) for _ in range(runs.of(15, quick=2))]
    restored, script = median([one for one, _ in taken]), median([other for _, other in taken])
    yield Figure(
        f"journal.recovery_{language.short}",
        f"{language.title}: a state of {CELLS} cells with {CELLS * CELL_EFFECTS} effects comes back",
        f"<= {ms(RESTORE_MOST_S)}, script time included",
        ms(restored),
        f"script time of the cells {ms(script)}",
        restored <= RESTORE_MOST_S,
        {"restored_s": [one for one, _ in taken]},
    )


MEASURES: dict[str, Measure] = {
    **{f"journal.effect_{language.short}": partial(effect, language) for language in LANGUAGES},
    **{f"journal.cell_{language.short}": partial(cell, language) for language in LANGUAGES},
    **{f"journal.recovery_{language.short}": partial(recovery, language) for language in LANGUAGES},
}
