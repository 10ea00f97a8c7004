"""The readable text of an HTML page, by trafilatura in a process of its own (see page_process), which is killed where it takes too long.

A thread would not do: nothing can stop one, and a pattern that backtracks holds the whole kernel.  The process costs half a second, mostly for
loading the library, beside a page that took as long to come.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from llmspell_kernel.errors import LimitError

MAX_CHARS = 5_000_000
TIME_S = 20.0
AT_ONCE = 4
"""Processes of one event loop."""
_CHILD = Path(__file__).with_name("page_process.py")
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def readable(page: str, max_chars: int, time_s: float = TIME_S) -> dict[str, Any]:
    """`{title, text, truncated}`.  Raises LimitError for a page that is too large, or takes too much time or memory."""
    if len(page) > MAX_CHARS:
        raise LimitError(
            f"the page has more than {MAX_CHARS:,} characters; take it by http_request", limit="page_chars", value=MAX_CHARS, used=len(page)
        )
    asked = json.dumps({"path": [entry for entry in sys.path if entry], "max_chars": max_chars})
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)):
        answer = await _asked(f"{asked}\n".encode() + page.encode("utf-8", "replace"), time_s)
    found: dict[str, Any] = json.loads(answer)
    return found


async def _asked(data: bytes, time_s: float) -> bytes:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(_CHILD), stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env={}, start_new_session=True
    )
    try:
        answer, _ = await asyncio.wait_for(process.communicate(data), time_s)
    except TimeoutError:
        raise LimitError(f"reading the page took longer than {time_s:g} s", limit="page_seconds", value=time_s) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise LimitError(
            "the page could not be read within the memory and time there is for one; take it by http_request", limit="page_memory"
        )
    return answer
