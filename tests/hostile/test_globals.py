"""What scripts can reach is what the lists say, and nothing of it is shared between states."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from llmspell_kernel.engines import discover
from llmspell_kernel.policy.presets import PRESETS
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.session import Session
from llmspell_kernel.workers.pool import WorkerPool

from .reachable import ENGINES, path_of, reachable

NOT_IN: dict[tuple[str, str], Collection[str]] = {
    ("strict", "lua"): {"_G.load function"},
    # the constructors of further kinds of functions inherit from Function; those that stand in for them have nothing to inherit
    ("strict", "javascript"): {f"<{kind}><prototype>.constructor<prototype> function" for kind in range(3)},
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_reaches_what_the_list_names_and_nothing_else(engine: str, preset: str) -> None:
    listed = set(path_of(engine).read_text("utf-8").splitlines())
    found = set(asyncio.run(reachable(engine, preset)))
    assert sorted(found - listed) == [], "new: look at it, then run `python -m tests.hostile.reachable`"
    assert listed - found == set(NOT_IN.get((preset, engine), ()))


SPOILED = {
    "lua": "string.upper = nil table.concat = nil math.floor = nil os.time = nil async.all = nil _G.print = nil coroutine.wrap = nil return 1",
    "javascript": "Array.prototype.map = null; JSON.parse = null; Math.max = null; Date.now = null; Object.keys = null; globalThis.print = null; 1",
}
WHOLE = {
    "lua": "return ('x'):upper() .. table.concat({ math.floor(1.5) }) .. type(os.time()) .. type(async.all) .. type(print) .. type(coroutine.wrap)",
    "javascript": "[1].map((x) => JSON.parse('2') + Math.max(x, 2) + Object.keys({ a: 1 })).join() + typeof Date.now() + typeof print",
}
GIVES = {"lua": "X1numberfunctionfunctionfunction", "javascript": "4anumberfunction"}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_one_state_spoils_is_whole_in_another_of_the_same_worker(engine: str) -> None:
    async def play() -> None:
        engines = discover()
        pool = WorkerPool(engines, policy=WorkerPolicy(states_per_worker=3), startup_s=10)
        async with Session(pool=pool, engines=engines) as session:
            await session.run("", engine=engine, state="before")
            assert (await session.run(SPOILED[engine], engine=engine, state="spoiled")).values == [1]
            for state in ("before", "after"):
                assert (await session.run(WHOLE[engine], engine=engine, state=state)).values == [GIVES[engine]]
            workers = {script.worker.pid for script in session.states.values() if script.worker is not None}
            assert len(workers) == 1

    asyncio.run(play())


def test_the_metatable_of_texts_cannot_be_reached_or_replaced() -> None:
    async def play() -> None:
        async with Session() as session:
            code = "return getmetatable('x') == nil, pcall(setmetatable, 'x', {}), debug == nil, string.dump == nil"
            result = await session.run(code)
            assert result.values[0] is True and result.values[1] is False and result.values[-2:] == [True, True]

    asyncio.run(play())
