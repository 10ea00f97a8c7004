"""The kernel's heart beats while the kernel itself is busy, so that no front end takes it for dead."""

from __future__ import annotations

import pytest

from llmspell_kernel.testing.front_end import FrontEnd

from .kernels import SLACK

BEAT_S = 0.5 * SLACK
LARGE = {
    "lua": "local t = {} for i = 1, 40000 do t[i] = {n = i, s = 'x'} end for i = 1, 2 do host.same(t) end return #t",
    "js": "const t = Array.from({length: 40000}, (_, n) => ({n, s: 'x'})); for (let i = 0; i < 2; i++) await host.same(t); t.length",
}
SAME = """
from typing import Any
@llmspell.session.expose
async def same(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    "What it got."
    return value
"""


@pytest.mark.parametrize("busy", ["values", "python"])
def test_it_answers_in_time(kernel, engine, busy):
    assert kernel.run(SAME).status == "ok"
    with FrontEnd(kernel.manager.connection_file) as front_end:
        code = f"%%{engine}\n{LARGE[engine]}" if busy == "values" else "import time; time.sleep(1)"
        request = front_end.execute(code)
        late, idle = [], False
        while not idle:
            late.append(front_end.beat(timeout_s=30))
            try:
                front_end.until_idle(request, timeout_s=0.05)
                idle = True
            except TimeoutError:
                pass
        assert max(late) < BEAT_S, late
        assert front_end.reply_to(request, timeout_s=30)["content"]["status"] == "ok"
    kernel.extra()
    kernel.survived()
