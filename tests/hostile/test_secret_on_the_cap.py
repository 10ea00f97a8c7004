"""A secret that lies on the cap of a cell's output, or at the start of the tail that is shown after it, is shown in no half."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.policy.limits import PRESETS
from llmspell_kernel.session import Session

from ..session.world import Recording

SECRET = "Qx7-vN2_pL9sRt4w"
CAP = 2_000


@pytest.mark.parametrize("before", range(CAP - len(SECRET) - 2, CAP + 2, 3))
def test_no_half_of_a_secret_is_shown_around_the_cap(before: int) -> None:
    async def run() -> str:
        sink = Recording()
        async with Session(sink=sink, limits=PRESETS["standard"]._replace(output_bytes=CAP)) as session:
            session.secrets.set("token", SECRET)
            # the tail keeps 200 bytes: some run ends in it with the middle of a secret
            code = f"ui.write(('a'):rep({before})) ui.write('{SECRET[:7]}') ui.write('{SECRET[7:]}') ui.write(('{SECRET}.'):rep({before}))"
            result = await session.run(code)
            assert result.error is None
        return sink.text("stdout") + sink.text("stderr")

    shown = asyncio.run(run())
    assert "is not shown, but for its end" in shown
    assert not any(SECRET[at : at + 5] in shown for at in range(len(SECRET) - 4))
