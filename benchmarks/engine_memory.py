"""Runs attacks in an engine in this very process and tells the most that the engine's own accounting held, sampled while the script ran.

python engine_memory.py ENGINE CAP_BYTES SECONDS, with {name: [cells]} as JSON on stdin; writes {name: [most_bytes, end]} as JSON.

Lua's allocator keeps its count in an object of lupa's; QuickJS keeps one at the head of its runtime, right before the limit it was given,
which tells whether it is still there.  Both are only read, by a thread beside the script's.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from llmspell_kernel.engines import discover
from llmspell_kernel.engines._engine import Options
from llmspell_kernel.protocol.steps import Failed, Suspended
from llmspell_kernel.workers.child import SharedStop
from llmspell_kernel.workers.stop_page import PAGE_BYTES, STOP_VARIABLE

SAMPLE_S = 0.0005
COUNT_AT, LIMIT_AT = 48, 56
"""In QuickJS's runtime."""


def lua_bytes(state: Any) -> Callable[[], int]:
    runtime, bare = state._lua, state._bare_bytes
    return lambda: int(runtime.get_memory_used(total=True)) - int(bare)


def javascript_bytes(state: Any) -> Callable[[], int]:
    realm = state._realm
    limit = ctypes.c_uint64.from_address(realm._runtime + LIMIT_AT).value
    if limit != realm._script_bytes:
        raise SystemExit(
            f"the library's count of its memory is not where it was: {limit} stands where the limit {realm._script_bytes} should"
        )
    return lambda: ctypes.c_uint64.from_address(realm._runtime + COUNT_AT).value


READERS = {"lua": lua_bytes, "javascript": javascript_bytes}


class Sampler:
    """Reads again and again in a thread, from `with` to its end."""

    def __init__(self, read: Callable[[], int]) -> None:
        self.most = read()
        self._read, self._ended = read, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.most = max(self.most, self._read())

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()
        self.most = max(self.most, self._read())


def stop_page() -> mmap.mmap:
    page = mmap.mmap(-1, PAGE_BYTES)
    text = f"{STOP_VARIABLE}=0\0".encode()
    page[: len(text)] = text
    return page


def most_held(engine: Any, page: mmap.mmap, name: str, cells: Sequence[str], cap_bytes: int, seconds: float) -> tuple[int, str]:
    state = engine.open(Options(state=1, memory_bytes=cap_bytes, max_value_bytes=cap_bytes // 8), {})
    flag_at, end = len(STOP_VARIABLE) + 1, ""
    with Sampler(READERS[name](state)) as sampler:
        for cell in cells:
            page[flag_at] = 0x30
            timer = threading.Timer(seconds, page.__setitem__, (flag_at, 0x31))
            timer.start()
            step = state.start(cell, "cell")
            timer.cancel()
            timer.join()
            end = step.fault.code if isinstance(step, Failed) else "waits" if isinstance(step, Suspended) else "value"
    return sampler.most, end


def main() -> None:
    name, cap_bytes, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    page = stop_page()
    (declaration,) = (known for known in discover() if known.name == name)
    engine = __import__(declaration.interpreter, fromlist=["create_engine"]).create_engine(SharedStop(page), lambda stream, text: None)
    attacks = json.load(sys.stdin)
    print(json.dumps({attack: most_held(engine, page, name, cells, cap_bytes, seconds) for attack, cells in attacks.items()}), flush=True)
    os._exit(0)  # the environment points into the page, which must not be unmapped before whoever reads the environment last


if __name__ == "__main__":
    main()
