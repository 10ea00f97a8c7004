"""A stop in a loop, a stream, a sleep or a call: answered soon as KeyboardInterrupt, the connection closed, the state kept, nothing left open."""

from __future__ import annotations

import random
import time

import pytest

from llmspell_kernel.testing.openai_server import Reply

from .kernels import ENGINES, KEEP, KEPT, SLACK, Kernel
from .provider_process import ProviderThread

BUSY_S, WAITING_S, CLOSED_S = 0.3, 0.1, 1.0
OFFSETS = 20
LONGEST_S = 0.15
WHAT = {
    "lua": {
        "loop": "print(1) while true do pcall(function() local n = 0 for i = 1, 1e5 do n = n + i end end) end",
        "sleep": "print(1) sleep(30)",
        "stream": 'print(1) local s = llm.stream("hi") for t in s do end',
        "chat": 'print(1) llm.chat("hi")',
        "tool": "print(1) host.slow()",
        "python": "print(1) while true do host.quick() end",
    },
    "js": {
        "loop": "console.log(1); await sleep(0); for (;;) { try { for (let i = 0; i < 1e5; i++); } catch (e) {} }",
        "sleep": "console.log(1); await sleep(30)",
        "stream": 'console.log(1); for await (const t of llm.stream("hi"));',
        "chat": 'console.log(1); await llm.chat("hi")',
        "tool": "console.log(1); await host.slow()",
        "python": "console.log(1); for (;;) await host.quick()",
    },
}
HOST = """
import asyncio
@llmspell.session.expose
async def slow() -> int:
    "A tool that takes its time."
    await asyncio.sleep(30)
    return 1
@llmspell.session.expose
async def quick() -> int:
    "A tool that does not."
    await asyncio.sleep(0)
    return 1
"""


@pytest.fixture(scope="module")
def provider():
    with ProviderThread(Reply(chunks=["drip "] * 10_000, delay_s=0.01)) as started:
        yield started


@pytest.fixture(scope="module")
def kernel(provider):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMSPELL_MODEL", "openai/test-model")
        patch.setenv("LLMSPELL_DISPLAY", "static")
        patch.setenv("OPENAI_API_BASE", provider.address)
        patch.setenv("OPENAI_API_KEY", "sk-very-secret")
        started = Kernel()
        started.settings("limits.effects=100000000")
        assert started.run(HOST).status == "ok"
        # the first call of a model imports the client's library, which is not what is stopped here
        assert started.cell("lua", 'local s = llm.stream("hi") s:next() s:close()', 60).status == "ok"
        yield started
        started.close()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", WHAT["lua"])
def test_at_random_moments_it_is_soon_over_and_the_state_is_kept(kernel, provider, engine, what):
    kernel.cell(engine, KEEP[engine])
    moments = random.Random(f"{engine} {what}")
    late, bar = [], BUSY_S if what in ("loop", "python") else WAITING_S
    for _ in range(OFFSETS):
        provider.left.clear()
        request = kernel.begin(engine, WHAT[engine][what])
        kernel.wait_until("stream", request)
        time.sleep(moments.uniform(0, LONGEST_S))  # the moment is what is tested
        asked = time.perf_counter()
        kernel.manager.interrupt_kernel()
        ran = kernel.wait(request)
        late.append(time.perf_counter() - asked)
        assert ran.reply["ename"] == "KeyboardInterrupt" and ran.reply["evalue"] == "stopped", ran.reply
        if what in ("stream", "chat") and provider.serving:
            assert provider.left.wait(CLOSED_S * SLACK)
    assert max(late) < bar * SLACK, late
    assert kernel.cell(engine, KEPT[engine]).result == "5"
    kernel.survived(ran)
