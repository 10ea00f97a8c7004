"""What the host asks of a state (Tab, variables, values) is answered within the state's limits, whatever the script has left there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llmspell_kernel.errors import LimitError, ScriptError, SpellError, ValueCrossingError
from llmspell_kernel.policy.limits import PRESETS, MiB
from llmspell_kernel.session import Session

from .arena import MEMORY_MORE, peak_growth
from .attack_files import MEMORY_SHARE

BY_ENGINE = pytest.mark.parametrize("engine", ["lua", "javascript"])
KEEP = {"lua": "kept = 7", "javascript": "globalThis.kept = 7"}
MEMORY_BYTES = 128 * MiB
MOST_ANSWERED = 300_000
"""Characters of a list of members."""
MEMBERS = {
    "one name of 8 MB": {
        "lua": r't = { right = 1 } t[("\1"):rep(8 * 1024 * 1024)] = 1',
        "javascript": r"globalThis.t = { right: 1 }; t['\x01'.repeat(8 * 1024 * 1024)] = 1",
    },
    "ten names of 3 MB": {
        "lua": r't = { right = 1 } for i = 1, 10 do t[("\1"):rep(3 * 1024 * 1024) .. i] = 1 end',
        "javascript": r"globalThis.t = { right: 1 }; for (let i = 0; i < 10; i++) t['\x01'.repeat(3 * 1024 * 1024) + i] = 1",
    },
    "ten thousand names that all are escaped": {
        "lua": r't = { right = 1 } for i = 1, 10000 do t[("\1"):rep(150) .. i] = 1 end',
        "javascript": r"globalThis.t = { right: 1 }; for (let i = 0; i < 10000; i++) t['\x01'.repeat(150) + i] = 1",
    },
}
VALUES = {
    "a thousand million items": {
        "lua": "t = {} for i = 1, 30 do t = { t, t } end",
        "javascript": "globalThis.t = []; for (let i = 0; i < 30; i++) t = [t, t]; 0",
    },
    "as many members": {
        "lua": "t = {} for i = 1, 30 do t = { a = t, b = t } end",
        "javascript": "globalThis.t = {}; for (let i = 0; i < 30; i++) t = { a: t, b: t }; 0",
    },
    "a text that its escapes make too large": {
        "lua": r't = ("\1"):rep(15 * 1024 * 1024)',
        "javascript": r"globalThis.t = '\x01'.repeat(15 * 1024 * 1024); 0",
    },
}


def asked(engine: str, fill: str, ask: Callable[[Session], Awaitable[Any]]) -> Any:
    """The answer, or the error, of a question to a state that a script has filled, and which must stay and answer the next cell."""

    async def play() -> Any:
        async with Session(limits=PRESETS["standard"]._replace(memory_bytes=MEMORY_BYTES)) as session:
            (await session.run(KEEP[engine], engine=engine)).raise_for_error()
            worker = session.states["main", engine].worker
            assert worker is not None
            grown = asyncio.create_task(peak_growth(worker.pid))
            (await session.run(fill, engine=engine)).raise_for_error()
            try:
                answer = await ask(session)
            except SpellError as error:
                answer = error
            grown.cancel()
            assert await grown <= MEMORY_SHARE * MEMORY_BYTES + MEMORY_MORE
            assert await session.get("kept", engine=engine) == 7, answer
            assert session.states["main", engine].worker is worker
            return answer

    return asyncio.run(play())


@BY_ENGINE
@pytest.mark.parametrize("fill", MEMBERS.values(), ids=MEMBERS.keys())
def test_hostile_names_are_left_out_of_the_members(engine: str, fill: dict[str, str]) -> None:
    answer = asked(engine, fill[engine], lambda session: session.ask("members", "t", engine=engine))
    assert isinstance(answer, list), answer
    assert len(repr(answer)) <= MOST_ANSWERED


@BY_ENGINE
@pytest.mark.parametrize("fill", VALUES.values(), ids=VALUES.keys())
def test_a_global_that_is_too_large_is_refused_by_its_state(engine: str, fill: dict[str, str]) -> None:
    answer = asked(engine, fill[engine], lambda session: session.get("t", engine=engine))
    assert isinstance(answer, ScriptError | ValueCrossingError), answer


FULL = {
    "lua": "t = { right = 1 } while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    "javascript": "globalThis.t = { right: 1 }; for (let i = 0; ; i++) t[i] = 'x'.repeat(1000) + i",
}


@BY_ENGINE
def test_a_full_state_still_tells_its_members(engine: str) -> None:
    async def play() -> None:
        async with Session(limits=PRESETS["standard"]._replace(memory_bytes=16 * MiB)) as session:
            assert isinstance((await session.run(FULL[engine], engine=engine)).error, LimitError)
            assert ["right", "number"] in await session.ask("members", "t", engine=engine)

    asyncio.run(play())
