"""Plays one attack in a lupa runtime as its documentation has it made safe, in this very process.

Stdin: {"lua": text, "next": text, "after": what the host does then, "secret": text}.  Stdout of the script is this process's; the last line of
stderr is {"told": text, "growth": bytes}.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lupa import lua54

MAX_MEMORY = 64 * 1024 * 1024
SECRET = ""
"""In reach of this module's functions, as an application's keys are in reach of its."""


def lines() -> Iterator[str]:
    yield "one"


def blob() -> bytearray:
    return bytearray(b"x" * 1_000_000)


def no_underscores(_: Any, name: Any, __: bool) -> Any:
    """The filter that lupa's documentation recommends."""
    if isinstance(name, str) and not name.startswith("_"):
        return name
    raise AttributeError("access denied")


def runtime() -> lua54.LuaRuntime:
    made = lua54.LuaRuntime(register_eval=False, register_builtins=False, attribute_filter=no_underscores, max_memory=MAX_MEMORY)
    made.globals().lines, made.globals().blob = lines, blob
    return made


def peak_bytes() -> int:
    """Of this program: getrusage also counts what the process had before exec, as a copy of its parent."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def play(attack: dict[str, str]) -> str:
    lua = runtime()
    try:
        told = str(lua.execute(attack["lua"]))
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
    match attack.get("after"):
        case "touch":
            try:
                lua.globals().touched = "x" * 100_000
            except Exception as error:
                told += f"; then {type(error).__name__}: {error}"
        case "collect":
            del lua
            gc.collect()
    if "next" in attack:
        told = str(runtime().execute(attack["next"]))
    return told


def main() -> None:
    global SECRET
    attack = json.load(sys.stdin)
    SECRET = attack["secret"]
    before = peak_bytes()
    told = play(attack)
    sys.stderr.write("\n" + json.dumps({"told": told, "growth": peak_bytes() - before}) + "\n")


if __name__ == "__main__":
    main()
