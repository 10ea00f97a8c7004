"""A real session with real workers among canaries: plays attacks and says what was wrong with how they ended."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from llmspell_kernel.engines import discover
from llmspell_kernel.errors import LimitError, SpellError, WorkerLost
from llmspell_kernel.journal.recorder import MAX_BYTES
from llmspell_kernel.policy.limits import MiB, limits_of
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.workers.pool import WorkerPool

from ..session.world import Probe
from .attack_files import ENGINES, MEMORY_SHARE, Attack
from .canaries import Canaries

SHORT = {
    "script_time_s": 0.2,
    "total_time_s": 1.0,
    "memory_bytes": 32 * MiB,
    "output_bytes": MiB,
    "effects": 1_000,
    "value_bytes": 4 * MiB,
    "end_s": 0.5,
}
"""Limits under which a hundred attacks take a minute."""
LATE_S = 1.0
"""How much later than its limits allow a reply may come: on a busy machine, too."""
HEALTH_S = 3.0
"""How long a healthy answer may take, a new worker included."""
MEMORY_MORE = 8 * MiB
"""A worker's process may grow by a share of its state's cap and so much more."""
HOST_GROWTH = MAX_BYTES + 16 * MiB
"""What the host may keep of one attack: a whole journal, its output, its result, and what Python does not give back at once."""
SAMPLE_S = 0.01
ONE_PLUS_ONE = {"lua": "return 1 + 1", "javascript": "1 + 1"}
NEIGHBOUR = {"lua": "return neighbour_secret", "javascript": "neighbour_secret"}
T = TypeVar("T")


class Arena:
    """Owns the event loop its session lives in.  `changes` are limits that differ from the preset's.

    Where `shared`, the attacked state and its neighbours live in one process until it must be killed: quicker, and the neighbours nearer.
    Else each state has a process of its own, and no neighbour may feel anything.
    """

    def __init__(self, folder: Path, preset: str = "standard", *, shared: bool = False, **changes: float) -> None:
        gc.collect()
        gc.freeze()  # what thousands of tests before have left is no part of how soon a reply comes
        self._shared = shared
        self.canaries = Canaries(folder)
        self.limits = limits_of(preset, changes)
        self.preset = preset
        self.last: ExecutionResult | None = None
        """What came of the last cell of the last attack."""
        self._runner = asyncio.Runner()
        self._states = 0
        self._kept = TemporaryDirectory()
        """What scripts keep lies apart from the canaries."""
        self.session = self.run(self._open(Settings(preset=preset, limits=changes, model="spell/echo")))
        self.run(self._tell_neighbours())

    async def _open(self, settings: Settings) -> Session:
        engines = discover()
        states = len(ENGINES) + 1
        # never recycled: the attacked states are to live where their neighbours do
        policy = WorkerPolicy(states_per_worker=states, recycle_cells=10**9, recycle_growth_bytes=2**40, recycle_after_limit=False)
        pool = WorkerPool(engines, policy=policy, startup_s=self.limits.startup_s) if self._shared else None
        session = Session(settings=settings, bridges=[Probe()], pool=pool, engines=engines, folder=Path(self._kept.name))
        session.add_module("hostile_module", "return { count = 0 }", "lua")
        session.add_module("hostile_module", "exports.count = 0", "javascript")
        return session

    async def _tell_neighbours(self) -> None:
        for engine in ENGINES:
            try:
                await self.session.set("neighbour_secret", self.canaries.secret, engine=engine, state="neighbour")
            except WorkerLost:  # the process they shared with an attack
                await self.session.set("neighbour_secret", self.canaries.secret, engine=engine, state="neighbour")

    def run(self, awaitable: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(awaitable)

    def close(self) -> None:
        self.run(self.session.close())
        self._runner.close()
        self.canaries.close()
        self._kept.cleanup()
        gc.unfreeze()

    def attack(self, attack: Attack, engine: str, state: str = "") -> list[str]:
        """Plays it, in a state of its own where none is named; what was wrong, in words."""
        return self.run(self._attack(attack, engine, state))

    def play(self, engine: str, cells: Sequence[str], state: str = "", *, ruins: bool = False) -> tuple[str, list[str]]:
        """How the last cell ended, and what broke a guarantee that holds for every script."""
        return self.run(self._contained(engine, cells, state, ruins=ruins))

    async def _attack(self, attack: Attack, engine: str, state: str) -> list[str]:
        cells = attack.cells(engine, self.canaries.names())
        end, found = await self._contained(engine, cells, state)
        assert self.last is not None
        if end not in attack.ends | self._more_ends(attack):
            found.append(f"ended with {end}, not {' or '.join(sorted(attack.ends))}: {self.last!r}")
        elif end == "value" and attack.gives is not None and self.last.values != attack.gives:
            found.append(f"gave {self.last!r}, not {attack.gives!r}")
        return found

    def _more_ends(self, attack: Attack) -> set[str]:
        """Ends are written down for SHORT.  Strict takes away what an attack begins with; under wider limits what is large may be finished."""
        more = {"error"} if self.preset == "strict" else set()
        is_wider = self.limits.memory_bytes > SHORT["memory_bytes"] and attack.gives is None and "limit" in attack.ends
        return more | {"value"} if is_wider else more

    async def _contained(self, engine: str, cells: Sequence[str], named: str, *, ruins: bool = False) -> tuple[str, list[str]]:
        self._states += 1
        state = named or f"attacked-{self._states}"
        found: list[str] = []
        if self._shared:
            await self._tell_neighbours()
        lives_in = self._pid(ENGINES[0], "neighbour")
        host_before = resident(os.getpid())
        try:
            for cell in cells:
                end = await self._cell(cell, engine, state, found)
            if ruins:
                await self.session.forget(state, engine)
            await self._is_healthy(engine, state, lives_in, found)
        finally:
            if not named:
                await self.session.forget(state, engine)
        found += self.canaries.touched()
        if resident(os.getpid()) - host_before > HOST_GROWTH:
            gc.collect()
            give_back_memory()
        if (growth := resident(os.getpid()) - host_before) > HOST_GROWTH:
            found.append(f"the host grew by {growth / MiB:.0f} MiB")
        return end, found

    async def _cell(self, code: str, engine: str, state: str, found: list[str]) -> str:
        before = await self._worker_of(engine, state)
        sampler = asyncio.create_task(peak_growth(before))
        started = time.monotonic()
        result = self.last = await self.session.run(code, engine=engine, state=state)
        took_s = time.monotonic() - started
        await asyncio.sleep(0)
        sampler.cancel()
        end = how_it_ended(result)
        latest_s = (self.limits.total_time_s if result.metrics.waiting_s > 0.1 else self.limits.script_time_s) + self.limits.stop_grace_s
        if took_s > latest_s + self.limits.end_s * (result.metrics.effects > 0) + LATE_S:
            found.append(f"the reply took {took_s:.2f} s")
        if (growth := await sampler) > self.limits.memory_bytes * MEMORY_SHARE + MEMORY_MORE:
            found.append(f"the worker grew by {growth / MiB:.0f} MiB under a cap of {self.limits.memory_bytes // MiB} MiB")
        if self.canaries.secret in told(result):
            found.append("the cell tells the secret")
        if end in ("value", "error") and self._pid(engine, state) != before:
            found.append(f"the state did not outlive an ordinary end ({end}): {result!r}")
        if result.error is not None and not isinstance(result.error, SpellError):
            found.append(f"an error of no known kind: {result.error!r}")
        return end

    async def _worker_of(self, engine: str, state: str) -> int:
        """The process that the state lives in; makes the state where there is none."""
        if self._pid(engine, state) is None:
            await self.session.run("", engine=engine, state=state)
        pid = self._pid(engine, state)
        assert pid is not None
        return pid

    def _pid(self, engine: str, state: str) -> int | None:
        script = self.session.states.get((state, engine))
        return script.worker.pid if script is not None and script.worker is not None and script.worker.alive else None

    async def _is_healthy(self, attacked: str, state: str, lives_in: int | None, found: list[str]) -> None:
        """Every engine answers; the attacked state does too, or its successor."""
        await self._answers(attacked, state, ONE_PLUS_ONE[attacked], 2, found)
        if self._shared:  # what goes on in the background would take the neighbours' time, and rightly so
            self.session.interrupt(state=state, engine=attacked)
            await self.session.background_ended()
        for engine in ENGINES:
            await self._answers(engine, "neighbour", ONE_PLUS_ONE[engine], 2, found)
            if not self._shared or self._pid(engine, "neighbour") == lives_in:  # else it went with the process they shared
                await self._answers(engine, "neighbour", NEIGHBOUR[engine], self.canaries.secret, found)

    async def _answers(self, engine: str, state: str, code: str, expected: Any, found: list[str]) -> None:
        started = time.monotonic()
        result = await self.session.run(code, engine=engine, state=state)
        took_s = time.monotonic() - started
        may_go = self._shared or state != "neighbour"
        while may_go and isinstance(result.error, WorkerLost) and time.monotonic() - started < HEALTH_S:
            # what an attack left in the background took the process along, after its own cell had its answer
            result = await self.session.run(code, engine=engine, state=state)
        if result.values != [expected]:
            found.append(f"afterwards the {engine} state '{state}' answers {code!r} with {result!r}")
        if took_s > HEALTH_S:
            found.append(f"afterwards the {engine} state '{state}' took {took_s:.2f} s")


def how_it_ended(result: ExecutionResult) -> str:
    match result.error:
        case None:
            return "value"
        case LimitError():
            return "limit"
        case WorkerLost():
            return "lost"
        case _:
            return "error"


def told(result: ExecutionResult) -> str:
    """Everything that left the script."""
    error = result.error
    return f"{result.values!r}\n{result.output}\n{error.message if error is not None else ''}\n{result.logs!r}"


async def peak_growth(pid: int) -> int:
    """By how many bytes a process grew at most, until this is cancelled or the process is gone."""
    before = peak = resident(pid)
    with suppress(asyncio.CancelledError):
        while (now := resident(pid)) > 0:
            peak = max(peak, now)
            await asyncio.sleep(SAMPLE_S)
    return peak - before


def give_back_memory() -> None:
    """What is free goes to the system: the allocator of a process with threads keeps much of it for later."""
    with suppress(OSError, AttributeError):  # of another system's C library
        ctypes.CDLL(None).malloc_trim(0)


def resident(pid: int) -> int:
    """Bytes of memory that a process has, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
