"""Made-up notebooks, by seed: a replay gives what the recording gave, and a state that died comes to what it would have come to."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.errors import BridgeError, ScriptError, WorkerLost
from llmspell_kernel.session import Session
from llmspell_kernel.session.taping import Mode
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import Callback

from .world import ENGINES, Recording

NAMES = ("a", "b", "c")
CELLS = {
    "lua": [
        "{n} = steady.value('{w}') + {i}",
        "{n} = ({m} or 0) * 2 + {i}; print({n})",
        "{n} = llm.chat('{w} {i}')",
        "{n} = {{}}; for piece in llm.stream('{w} x y {i}') do {n}[#{n} + 1] = piece end",
        "local s = llm.stream('{w} x y z'); {n} = s:next(); s:close()",
        "{n} = steady.each({i}, function(x) return x + steady.value('in') end)",
        "local ok, err = pcall(steady.fails, '{w}'); {n} = {{ok, err.code}}",
        "{n} = {{math.random(1000), uuid.v4()}}",
        "{n} = async.all({{async.spawn(steady.value, '{w}'), async.spawn(steady.value, 'y')}})",
        "function f(x) return (x or 0) + {i} end; {n} = f({i})",
        "{n} = f and f(2) or 'none'",
        "{n} = steady.value('before'); error('on purpose')",
    ],
    "javascript": [
        "{n} = await steady.value('{w}') + {i}",
        "{n} = (globalThis.{m} || 0) * 2 + {i}; console.log({n})",
        "{n} = await llm.chat('{w} {i}')",
        "{n} = []; for await (const piece of llm.stream('{w} x y {i}')) {n}.push(piece)",
        "s = await llm.stream('{w} x y z'); {n} = await s.next(); await s.close(); s = 0",
        "{n} = await steady.each({i}, async x => x + await steady.value('in'))",
        "try {{ await steady.fails('{w}') }} catch (err) {{ {n} = [err.code] }}",
        "{n} = [Math.random(), crypto.randomUUID()]",
        "{n} = await Promise.all([steady.value('{w}'), steady.value('y')])",
        "function f(x) {{ return (x || 0) + {i} }}; {n} = f({i})",
        "{n} = globalThis.f ? f(2) : 'none'",
        "{n} = await steady.value('before'); throw new Error('on purpose')",
    ],
}


class Steady(Bridge):
    """Answers that follow from the question alone; `kill_at` is the call at which the worker is shot."""

    name = "steady"

    def __init__(self) -> None:
        self.calls = 0
        self.kill_at = 0
        self.session: Session | None = None

    @method
    async def value(self, ctx: Context, key: str) -> int:
        """A number that follows from the key."""
        self.calls += 1
        if self.calls == self.kill_at and self.session is not None:
            for script in self.session.states.values():
                if script.worker is not None:
                    os.kill(script.worker.pid, signal.SIGKILL)
            await asyncio.sleep(60)  # ended with the cell, whose worker is gone
        return sum(key.encode()) % 97

    @method
    async def each(self, ctx: Context, count: int, function: Callback) -> list[int]:
        """Calls a function with 1, 2, 3 ..."""
        return [await ctx.invoke(function, number, as_type=int) for number in range(1, count + 1)]

    @method
    async def fails(self, ctx: Context, key: str) -> None:
        """Fails."""
        raise BridgeError(f"no {key}", code="gone")


def notebook(draw: random.Random, engine: str) -> list[str]:
    return [
        draw.choice(CELLS[engine]).format(
            n=draw.choice(NAMES), m=draw.choice(NAMES), i=draw.randint(1, 4), w=draw.choice(["tea", "cup", "ü 茶"])
        )
        for _ in range(draw.randint(2, 8))
    ]


async def global_of(session: Session, name: str, engine: str) -> Any:
    try:
        return await session.get(name, engine=engine)
    except ScriptError:
        return "not there"


async def play(engine: str, cells: list[str], *, tape: tuple[Mode, Path] | None = None, kills: list[int] | None = None) -> dict[str, Any]:
    """What came of each cell, what was printed, and the globals at the end.  A cell that the worker died in is run again, as a user would."""
    bridge, sink = Steady(), Recording()
    async with Session(bridges=[bridge], sink=sink, settings=Settings(model="spell/echo")) as session:
        bridge.session = session
        if tape is not None:
            session.tape(*tape)
        left, came = list(kills or ()), []
        for number, cell in enumerate(cells, 1):
            while True:
                bridge.kill_at = bridge.calls + left.pop(0) if left else 0
                result = await session.run(cell, engine=engine, chunk=f"cell[{number}]")
                lost = isinstance(result.error, WorkerLost) or isinstance(getattr(result.error, "__cause__", None), WorkerLost)
                if not lost:
                    break
            came.append((result.values, str(result.error)))
        found = repr({name: await global_of(session, name, engine) for name in NAMES})  # a text: no two NaN are equal
        entropy = session.states["main", engine].entropy
    return {"came": came, "printed": sink.text("stdout"), "globals": found, "entropy": entropy, "calls": bridge.calls}


def check_replay(engine: str, seed: int) -> None:
    cells = notebook(random.Random(seed), engine)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "n.cassette.jsonl"
        recorded = asyncio.run(play(engine, cells, tape=("record", file)))
        first = file.read_bytes()
        replayed = asyncio.run(play(engine, cells, tape=("replay", file)))
        assert {**replayed, "calls": 0} == {**recorded, "calls": 0}, (seed, cells)
        assert replayed["calls"] == 0, (seed, cells)
        asyncio.run(play(engine, cells, tape=("record", file)))
        assert file.read_bytes() == first, (seed, cells)


def check_recovery(engine: str, seed: int, folder: Path) -> None:
    draw = random.Random(seed)
    cells = notebook(draw, engine)
    kills = [draw.randint(1, 3) for _ in range(draw.randint(1, 4))]
    # a recording makes the ids the same in both
    lived = asyncio.run(play(engine, cells, tape=("record", folder / "a.cassette.jsonl")))
    died = asyncio.run(play(engine, cells, tape=("record", folder / "b.cassette.jsonl"), kills=kills))
    assert died["globals"] == lived["globals"], (seed, cells, kills)
    assert [came for came, _ in died["came"]] == [came for came, _ in lived["came"]], (seed, cells, kills)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(6))
def test_a_replay_is_the_recording(engine: str, seed: int) -> None:
    check_replay(engine, seed)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(6))
def test_a_state_that_died_comes_to_what_it_would_have_come_to(engine: str, seed: int, tmp_path: Path) -> None:
    check_recovery(engine, seed, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_thousand_replays(engine: str) -> None:
    for seed in range(1_000, 1_500):
        check_replay(engine, seed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", ENGINES)
def test_hundreds_of_deaths(engine: str, tmp_path: Path) -> None:
    for seed in range(1_000, 1_250):
        check_recovery(engine, seed, tmp_path)
