"""A program: one session under scripts that send values of very many small objects.  Prints how far its process grew and, by script, for how
long its event loop answered nobody and how the cell ended."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from llmspell_kernel.errors import SpellError
from llmspell_kernel.policy.limits import PRESETS
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings

WARM = {
    "lua": "log.info('x', {a = 1}) llm.chat('x') ui.display({1}) ui.table({{1}}) pcall(storage.set, 'a', 1) return 1",
    "javascript": """
        log.info('x', {a: 1}); await llm.chat('x'); await ui.display([1]); await ui.table([[1]]);
        await storage.set('a', 1).catch(() => 0); 1""",
}
"""What is opened and imported once is no growth."""
LIST = {
    "lua": "local e, t = {{a = 1}}, {{}} for i = 1, {count} do t[i] = e end ",
    "javascript": "const e = {{a: 1}}, t = []; for (let i = 0; i < {count}; i++) t.push(e); ",
}
"""One object, written out again and again."""
SENT = {
    "lua": {
        "six at once": "local f = function() log.info('x', {t = t}) end async.all({f, f, f, f, f, f})",
        "ninety at once": "local u = {table.unpack(t, 1, 3500)} for i = 1, 90 do async.spawn(function() log.info('x', {t = u}) end) end",
        "chat": "pcall(llm.chat, t)",
        "display": "ui.display(t)",
        "table": "ui.table(t)",
        "columns": "local c = {} for i = 1, 5000 do c[i] = 'c' .. i end pcall(ui.table, t, {columns = c})",
        "storage": "storage.set('k', t)",
        "result": "return t",
        "global": "kept = t",
    },
    "javascript": {
        "six at once": "await Promise.all([1, 2, 3, 4, 5, 6].map(() => log.info('x', {t})))",
        "ninety at once": "const u = t.slice(0, 3500); await Promise.all(Array.from({length: 90}, () => log.info('x', {t: u})))",
        "chat": "await llm.chat(t).catch(() => 0)",
        "display": "await ui.display(t)",
        "table": "await ui.table(t)",
        "columns": "await ui.table(t, {columns: Array.from({length: 5000}, (_, i) => 'c' + i)}).catch(() => 0)",
        "storage": "await storage.set('k', t)",
        "result": "t",
        "global": "globalThis.kept = t; 0",
    },
}


REFUSED = ("six at once", "chat", "result", "global")
"""Of values over the limit, of which nothing is made, each way into the host once."""


class Watch:
    """How much the process worked between two turns of its event loop, at most: the same on a busy machine as on a quiet one."""

    def __init__(self) -> None:
        self._longest_s = 0.0
        self._ends = False

    def take_s(self) -> float:
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s

    async def run(self) -> None:
        last_s = time.process_time()
        while not self._ends:
            await asyncio.sleep(0.001)
            now_s = time.process_time()
            self._longest_s, last_s = max(self._longest_s, now_s - last_s), now_s

    def end(self) -> None:
        self._ends = True


def memory_bytes(name: str) -> int:
    """VmRSS, or VmHWM for the most that it ever was."""
    line = next(line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


async def sent(session: Session, engine: str, code: str) -> str:
    """How it ended: "" or the limit that was met, else the error's class."""
    try:
        (await session.run(code, engine=engine)).raise_for_error()
        if "kept" in code:
            await session.get("kept", engine=engine)
    except SpellError as error:
        return str(getattr(error, "limit", type(error).__name__))
    finally:
        await session.forget("main", engine)
    return ""


async def main(engine: str, preset: str, folder: Path) -> None:
    session = Session(
        settings=Settings(model="spell/echo", preset=preset, limits={"script_time_s": 300, "total_time_s": 300}), folder=folder
    )
    value_bytes = PRESETS[preset].value_bytes
    (await session.run(WARM[engine], engine=engine)).raise_for_error()
    gc.collect()
    before, watch = memory_bytes("VmRSS"), Watch()
    watching = asyncio.create_task(watch.run())
    held_s, ended = {}, {}
    for size, count in {"over": value_bytes // 35, "under": value_bytes // 72}.items():  # each counts 64 bytes
        for name, code in SENT[engine].items():
            if size == "under" or name in REFUSED:
                watch.take_s()
                ended[f"{name} {size}"] = await sent(session, engine, LIST[engine].format(count=count) + code)
                await asyncio.sleep(0.002)
                held_s[f"{name} {size}"] = watch.take_s()
    watch.end()
    await watching
    print(json.dumps({"grew_bytes": memory_bytes("VmHWM") - before, "held_s": held_s, "ended": ended}))
    await session.close()


if __name__ == "__main__":
    with TemporaryDirectory() as kept:
        asyncio.run(main(sys.argv[1], sys.argv[2], Path(kept)))
