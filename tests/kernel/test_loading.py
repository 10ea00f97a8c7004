"""What a kernel has imported and collected by the time it answers: asked of fresh processes."""

from __future__ import annotations

import subprocess
import sys

UNTIL_LAUNCH = """
import gc
from ipykernel.kernelapp import IPKernelApp
from llmspell_kernel.__main__ import main

began = []
gc.callbacks.append(lambda phase, info: began.append(info["generation"]))

@classmethod
def launched(cls, arguments, kernel_class):
    print(arguments, kernel_class.default_engine, gc.isenabled(), gc.get_freeze_count() > 10_000, began)
    kernel_class.spare.close()

IPKernelApp.launch_instance = launched
main(["--spec", "llmspell-lua", "-f", "file"])
"""
FIRST_CELLS = """
import asyncio, sys
import llmspell_kernel.kernel.notebook
from llmspell_kernel.session import Session

HEAVY = {"litellm", "openai", "httpx", "pydantic_ai", "langgraph", "jsonschema", "sqlite3.dump", "lupa", "quickjs", "mcp", "pandas", "numpy"}
BRIDGES = "llmspell_kernel.bridges."
SERVICES = tuple(f"llmspell_kernel.services.{name}" for name in ("agents", "llm", "memory", "guardrails", "http", "storage", "prompts", "schema"))

def loaded():
    bridges = [name for name in sys.modules if name.startswith(BRIDGES) and not name.startswith(BRIDGES + "_")]
    return sorted([*bridges, *(name for name in sys.modules if name.startswith(SERVICES)), *(HEAVY & set(sys.modules))])

async def cells():
    async with Session() as session:
        for engine, code in (("lua", "return 1"), ("javascript", "1")):
            assert (await session.run(code, engine=engine)).values == [1]
        print(loaded())
        assert (await session.run("log.info('x')", engine="lua")).error is None
        print(loaded())

asyncio.run(cells())
"""


def lines_of(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_no_garbage_is_looked_for_until_the_kernel_is_loaded_and_nothing_of_it_ever_after() -> None:
    assert lines_of(UNTIL_LAUNCH) == ["['-f', 'file'] lua True True []"]


def test_a_cell_imports_the_bridges_that_it_calls_and_no_others() -> None:
    assert lines_of(FIRST_CELLS) == ["[]", "['llmspell_kernel.bridges.log']"]
