"""A small value of a script cannot become a large one of the host, nor keep it busy."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from ..session.world import ENGINES, world

SPARSE = {
    "lua": "local rows = {} for i = 1, 3000 do rows[i] = {['c' .. i] = 1} end return host.take(rows)",
    "javascript": "await host.take(Array.from({ length: 3000 }, (_, i) => ({ ['c' + i]: 1 })))",
}
WIDE = {
    "lua": "local row = {} for i = 1, 20000 do row['c' .. i] = 1 end return host.take({row})",
    "javascript": "await host.take([Object.fromEntries(Array.from({ length: 20000 }, (_, i) => ['c' + i, 1]))])",
}
EMPTY_LISTS = {
    "lua": "local parts = {} for i = 1, 20000 do parts[i] = {tags = {}} end return host.take({parts = parts})",
    "javascript": "await host.take({ parts: Array.from({ length: 20000 }, () => ({ tags: {} })) })",
}


def taking(kind: Any) -> Any:
    def take(value: Any) -> int:
        return len(getattr(value, "parts", value))

    take.__annotations__["value"] = kind
    return take


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(("codes", "said"), [(SPARSE, "9,000,000 cells"), (WIDE, "20,000 columns")], ids=["sparse", "wide"])
@pytest.mark.parametrize("engine", ENGINES)
def test_rows_that_would_make_a_huge_frame_are_refused(engine: str, codes: dict[str, str], said: str, library: str) -> None:
    frame = pytest.importorskip(library).DataFrame

    async def run() -> None:
        async with world() as made, asyncio.timeout(30):
            made.session.expose(taking(frame), name="take")
            outcome = await made.session.run(codes[engine], engine=engine)
            assert outcome.error is not None
            assert said in outcome.error.message

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_thousands_of_empty_lists_in_a_model_take_no_copy_each(engine: str) -> None:
    """With a copy for each, this took the host twenty seconds, in which it answered nobody."""
    pydantic = pytest.importorskip("pydantic")
    part: Any = pydantic.create_model("Part", tags=(list[str], ...))
    whole = pydantic.create_model("Whole", parts=(list[part], ...))

    async def run() -> None:
        async with world() as made, asyncio.timeout(60):
            made.session.expose(taking(whole), name="take")
            started = time.monotonic()
            assert (await made.session.run(EMPTY_LISTS[engine], engine=engine)).values == [20000]
            assert time.monotonic() - started < 8

    asyncio.run(run())
