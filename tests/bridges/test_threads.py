"""Plain functions in threads: a hanging one holds up nothing but its own call."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from llmspell_kernel.bridges import _threads
from llmspell_kernel.bridges._threads import allow, in_thread
from llmspell_kernel.errors import LimitError


def test_hanging_functions_keep_no_other_waiting_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "_slots", _threads.Slots())
    allow(20)
    gate = threading.Event()

    async def run() -> None:
        hanging = [asyncio.ensure_future(in_thread(gate.wait)) for _ in range(19)]
        await asyncio.sleep(0)
        assert await in_thread(lambda: 7) == 7
        hanging.append(asyncio.ensure_future(in_thread(gate.wait)))
        await asyncio.sleep(0)
        with pytest.raises(LimitError, match="still running"):
            await in_thread(lambda: 8)
        hanging[0].cancel()
        with pytest.raises(LimitError):
            await in_thread(lambda: 8)  # given up is not ended
        gate.set()
        await asyncio.gather(*hanging, return_exceptions=True)
        assert await in_thread(lambda: 9) == 9

    asyncio.run(run())


def test_what_a_function_raises_is_raised_here() -> None:
    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 / 0)

    asyncio.run(run())


def test_a_function_that_never_ends_does_not_hold_the_end_of_the_process() -> None:
    code = """
import asyncio, threading
from llmspell_kernel.bridges._threads import in_thread
async def main():
    task = asyncio.ensure_future(in_thread(threading.Event().wait))
    await asyncio.sleep(0)
    task.cancel()
asyncio.run(main())
print("ended")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.returncode) == ("ended\n", 0), done.stderr
