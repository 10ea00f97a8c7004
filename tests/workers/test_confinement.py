"""What a real worker process holds: nothing of ours in its environment, descriptors and modules."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .processes import ACTING, REAL, worker_of

CANARY = "canary-7f3a91"
HOST_PARTS = (
    "asyncio",
    "subprocess",
    "litellm",
    "pydantic_ai",
    "langgraph",
    "httpx",
    "IPython",
    "ipykernel",
    *(
        f"llmspell_kernel.{part}"
        for part in ("session", "bridges", "services", "journal", "render", "kernel", "cli", "spells", "policy", "testing")
    ),
)


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("LLMSPELL_CANARY", CANARY)
    monkeypatch.setenv("PYTHONPATH", f"/{CANARY}")
    return CANARY


def test_the_environment_and_command_line_of_a_worker_hold_nothing_of_ours(canary: str) -> None:
    async def play() -> None:
        async with worker_of(REAL, "lua") as (worker, _):
            proc = Path(f"/proc/{worker.pid}")
            assert (proc / "environ").read_bytes() == b"LC_ALL=C.UTF-8\0"
            assert canary.encode() not in (proc / "cmdline").read_bytes()

    asyncio.run(play())


def descriptors(pid: int) -> dict[int, str]:
    return {int(entry.name): str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}


def test_a_workers_descriptors_are_its_streams_the_control_socket_and_the_shared_page() -> None:
    inherited = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(inherited, True)

    async def play() -> None:
        async with worker_of(REAL, "lua") as (worker, _):
            found = descriptors(worker.pid)
            assert (found.pop(0), found.pop(1)[:5], found.pop(2)[:5]) == ("/dev/null", "pipe:", "pipe:")
            assert sorted(name.partition("[")[0] for name in found.values()) == ["/memfd:llmspell-stop (deleted)", "socket:"]

    try:
        asyncio.run(play())
    finally:
        os.close(inherited)


def test_the_shared_page_cannot_be_taken_from_under_the_host() -> None:
    async def play() -> None:
        async with worker_of(REAL, "lua") as (worker, _):
            (number,) = [number for number, name in descriptors(worker.pid).items() if "memfd" in name]
            page = os.open(f"/proc/{worker.pid}/fd/{number}", os.O_RDWR)
            try:
                for size in (0, 1 << 20):
                    with pytest.raises(PermissionError):
                        os.ftruncate(page, size)
            finally:
                os.close(page)

    asyncio.run(play())


def test_a_worker_runs_at_the_root_in_a_session_of_its_own() -> None:
    async def play() -> None:
        async with worker_of(REAL, "lua") as (worker, _):
            assert os.readlink(f"/proc/{worker.pid}/cwd") == "/"
            assert os.getsid(worker.pid) == worker.pid != os.getsid(0)

    asyncio.run(play())


def test_a_worker_can_gain_no_privilege_write_no_file_and_leave_no_core() -> None:
    async def play() -> None:
        async with worker_of(REAL, "lua") as (worker, _):
            proc = Path(f"/proc/{worker.pid}")
            assert "NoNewPrivs:\t1" in (proc / "status").read_text()
            limits = {line[:26].strip(): line[26:].split()[:2] for line in (proc / "limits").read_text().splitlines()}
            assert limits["Max file size"] == limits["Max core file size"] == ["0", "0"]
            assert limits["Max open files"] == ["32", "32"]

    asyncio.run(play())


def test_a_worker_imports_no_host_part() -> None:
    async def play() -> list[str]:
        async with worker_of([*REAL, *ACTING], "acting") as (worker, _):
            return list(json.loads(await worker.query(1, "members", "")))

    loaded = asyncio.run(play())
    assert "llmspell_kernel.workers.child" in loaded
    assert [name for name in loaded if any(name == part or name.startswith(f"{part}.") for part in HOST_PARTS)] == []


HOST = """
import asyncio, json, sys
from llmspell_kernel.session import Session

async def main():
    session = Session()
    results = [(await session.run(code, engine=engine)).values for engine, code in json.loads(sys.argv[1]).items()]
    await session.close()
    print(json.dumps([results, sorted(sys.modules)]))

asyncio.run(main())
"""


def test_the_host_imports_no_engine_library_and_no_large_package() -> None:
    cells = dict.fromkeys((engine.name for engine in REAL), "1 + 1")
    done = subprocess.run([sys.executable, "-c", HOST, json.dumps(cells)], capture_output=True, text=True, timeout=60, check=True)
    results, loaded = json.loads(done.stdout)
    assert results == [[2]] * len(cells)
    unwanted = {"lupa", "quickjs", "_quickjs", "tree_sitter", "tree_sitter_javascript", "litellm", "pydantic_ai", "langgraph"}
    assert sorted({name.partition(".")[0] for name in loaded} & unwanted) == []


def test_a_worker_does_not_try_to_write_the_bytecode_of_what_it_imports() -> None:
    """It may write no file: killed between the try and its clean-up, it would leave an empty one in __pycache__."""

    async def play() -> None:
        async with worker_of(ACTING, "acting") as (worker, _):
            assert worker.engines["acting"]["writes_bytecode"] is False

    asyncio.run(play())
