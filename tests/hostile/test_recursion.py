"""A script that calls itself without end, also in a state whose memory is full, is told so; it is no fault of ours."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.errors import InternalError

from ..session.world import ENGINES, LIMITS, world

FILL = {
    "lua": "z = {} while true do z[#z + 1] = ('x'):rep(1000) .. #z end",
    "javascript": "z = []; for (;;) z.push('x'.repeat(1000) + z.length)",
}
RECURSE = {
    "lua": "function f(n) return f(n + 1) + 1 end return f(1)",
    "javascript": "function f(n) { return f(n + 1) + 1 } f(1)",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("memory_mb", [20, 64])
def test_recursion_without_end_in_a_full_state_is_the_scripts_fault(engine: str, memory_mb: int) -> None:
    async def run() -> None:
        async with world(limits=LIMITS._replace(memory_bytes=memory_mb * 1_000_000)) as made:
            for code in (FILL, RECURSE, RECURSE):
                error = (await made.session.run(code[engine], engine=engine)).error
                assert error is not None
                assert not isinstance(error, InternalError), error
            await made.session.run({"lua": "z = nil", "javascript": "z = null"}[engine], engine=engine)
            done = await made.session.run({"lua": "return 1 + 1", "javascript": "1 + 1"}[engine], engine=engine)
            assert done.values == [2]

    asyncio.run(run())
