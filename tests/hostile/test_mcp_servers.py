"""MCP servers that mean harm: none of them holds the host, fills its memory, or outlives the session."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmspell_kernel.errors import BridgeError, LimitError
from llmspell_kernel.services.schema import validation
from llmspell_kernel.services.tools import mcp_process, mcp_servers
from llmspell_kernel.services.tools.mcp_process import Program
from llmspell_kernel.services.tools.mcp_servers import McpServers

from .children import command_of


@asynccontextmanager
async def attacker(attack: str, **settings: Any) -> AsyncIterator[McpServers]:
    command = [sys.executable, str(Path(__file__).with_name("mcp_attacker.py")), attack]
    found = McpServers({"bad": {"command": command, **settings}}, lambda name, host, scheme: "", os.environ)
    try:
        yield found
    finally:
        await found.close()
    assert not [process for process in psutil.Process().children(recursive=True) if "mcp_attacker" in command_of(process)]


@pytest.mark.parametrize("attack", ["deaf", "silent", "babble"])
def test_a_server_that_answers_nothing_is_given_up_in_time_and_killed(attack: str) -> None:
    async def play() -> None:
        async with attacker(attack, start_s=1.0) as found:
            started = time.monotonic()
            with pytest.raises(LimitError):
                await found.offered("bad")
            assert time.monotonic() - started < 20

    asyncio.run(play())


def test_a_line_without_end_ends_the_conversation() -> None:
    async def play() -> None:
        async with attacker("flood", start_s=20.0) as found:
            with pytest.raises((BridgeError, LimitError), match="more than 8,388,608 bytes"):
                await found.offered("bad")

    asyncio.run(play())


def test_pages_of_tools_without_end_are_cut() -> None:
    async def play() -> None:
        async with attacker("many") as found:
            tools = await found.offered("bad")
            assert len(tools) == mcp_servers.MAX_TOOLS
            assert all(len(spec.description) == mcp_servers.DESCRIPTION_CHARS for spec in tools)

    asyncio.run(play())


def test_tools_whose_schemas_are_none_or_too_large_are_not_offered() -> None:
    async def play() -> None:
        async with attacker("schemas") as found:
            assert [spec.name for spec in await found.offered("bad")] == ["bad_t0"]

    asyncio.run(play())


def test_schemas_that_are_too_large_together_are_a_limit_that_names_the_server() -> None:
    async def play() -> None:
        async with attacker("heavy") as found:
            with pytest.raises(LimitError, match="the MCP server 'bad' offers tools with schemas of more than 2,000,000 bytes"):
                await found.offered("bad")
        async with attacker("heavy", tools=["t1", "t2"]) as found:
            assert [spec.name for spec in await found.offered("bad")] == ["bad_t1", "bad_t2"]

    asyncio.run(play())


def test_schemas_that_take_too_long_together_are_a_limit_that_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_servers, "SCHEMAS_S", 1e-9)

    async def play() -> None:
        async with attacker("heavy") as found:
            for _ in range(2):
                with pytest.raises(LimitError, match="the MCP server 'bad' .* to check"):
                    await found.offered("bad")

    asyncio.run(play())


def test_a_server_that_runs_and_then_lists_too_much_is_told_of_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with attacker("error") as found:
            assert len(await found.offered("bad")) == 2
            monkeypatch.setattr(mcp_servers, "MAX_SCHEMAS_BYTES", 10)
            with pytest.raises(LimitError):
                await found.offered("bad")
            monkeypatch.undo()
            assert len(await found.offered("bad")) == 2

    asyncio.run(play())


def test_schemas_are_checked_and_large_messages_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    read = mcp_process._message

    class Told(validation.Schema):
        def __init__(self, document: Any) -> None:
            threads.append(threading.current_thread())
            super().__init__(document)

    def reading(line: bytes) -> Any:
        if len(line) > 1_000_000:
            threads.append(threading.current_thread())
        return read(line)

    monkeypatch.setattr(validation, "Schema", Told)
    monkeypatch.setattr(mcp_process, "_message", reading)

    async def play() -> None:
        async with attacker("heavy") as found:
            with pytest.raises(LimitError):
                await found.offered("bad")

    asyncio.run(play())
    assert len(threads) > 10 and threading.main_thread() not in threads


def test_an_answer_of_very_many_objects_is_refused_before_it_is_read() -> None:
    async def play() -> None:
        async with attacker("bomb") as found:
            await found.offered("bad")
            with pytest.raises(BridgeError, match="held so many objects, lists and strings") as caught:
                await found.call("bad_u", {})
            assert caught.value.code == "mcp_lost"

    asyncio.run(play())


def test_a_list_of_tools_that_is_none_is_a_server_that_does_not_start() -> None:
    async def play() -> None:
        async with attacker("shapeless") as found:
            with pytest.raises(BridgeError) as caught:
                await found.offered("bad")
            assert caught.value.code == "mcp_start"

    asyncio.run(play())


def test_a_session_that_ends_does_not_wait_for_a_server_that_is_still_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Program._started

    async def play() -> None:
        begun = asyncio.Event()

        async def telling(self: Program) -> asyncio.subprocess.Process:
            process = await start(self)
            begun.set()
            return process

        monkeypatch.setattr(Program, "_started", telling)
        async with attacker("silent", start_s=600) as found:
            listing = asyncio.create_task(found.offered("bad"))
            await begun.wait()
            started = time.monotonic()
            await found.close()
            assert time.monotonic() - started < 10
            with pytest.raises(BridgeError, match="stopped with its session"):
                await listing

    asyncio.run(play())


def test_a_pattern_of_the_servers_own_schema_is_not_tried_on_its_own_answer() -> None:
    async def play() -> None:
        async with attacker("pattern") as found:
            started = time.monotonic()
            assert await found.call("bad_t", {}) == {"text": "a" * 60 + "!"}
            assert time.monotonic() - started < 10

    asyncio.run(play())


def test_a_long_failure_is_clipped() -> None:
    async def play() -> None:
        async with attacker("error") as found:
            with pytest.raises(BridgeError) as caught:
                await found.call("bad_u", {})
            assert len(str(caught.value)) < 3_000

    asyncio.run(play())


def test_a_server_that_asks_for_a_model_is_refused() -> None:
    async def play() -> None:
        async with attacker("asks") as found:
            assert int(str(await found.call("bad_u", {}))) < 0

    asyncio.run(play())
