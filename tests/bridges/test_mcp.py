"""The bridge `mcp`: a real server's tools, called by scripts as tools of the session."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.bridges.mcp import Mcp
from llmspell_kernel.engines._registry import discover
from llmspell_kernel.errors import BridgeError, DeniedError, ScriptError
from llmspell_kernel.journal.events import CallStarted
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.context import FakeBridgeSession, FakeContext

from ..session.world import Recording

ENGINES = [engine.name for engine in discover()]
SERVER = [sys.executable, str(Path(__file__).parents[1] / "services" / "tools" / "mcp_server.py")]
SHOP: dict[str, Any] = {"shop": {"command": SERVER, "tools": {"add": "read", "die": "read"}}}
GONE: dict[str, Any] = {"shop": {"command": ["/nowhere/at/all"]}}
LOAD = {"lua": "mcp.load('shop')", "javascript": "await mcp.load('shop')"}
ADD = {"lua": "tools.call('shop_add', { a = 2, b = 3 })", "javascript": "await tools.call('shop_add', { a: 2, b: 3 })"}
every_engine = pytest.mark.parametrize("engine", ENGINES)


def test_what_a_server_offers_is_provided_as_tools() -> None:
    async def play() -> None:
        offered = {"name": "shop_add", "description": "Adds.", "parameters": {"type": "object"}, "returns": None, "level": "read"}
        context = FakeContext(answers={"mcp.offered": lambda server: [offered], "tools.provide": lambda *given: None})
        assert await Mcp().load(context, "shop") == ["shop_add"]
        assert context.of("call") == [("mcp.offered", ("shop",)), ("tools.provide", (offered, "mcp", "use", ["shop_add"]))]

    asyncio.run(play())


def test_servers_are_named_and_asked_and_end_with_the_bridge() -> None:
    async def play() -> None:
        bridge, context = Mcp(), FakeContext()
        await bridge.open(FakeBridgeSession(settings={"mcp": SHOP}))
        assert await bridge.servers(context) == ["shop"]
        offered = await bridge.offered(context, "shop")
        assert [(tool["name"], tool["level"], tool["timeout_s"]) for tool in offered] == [
            ("shop_add", "read", 90.0),
            ("shop_die", "read", 90.0),
        ]
        assert await bridge.use(context, "shop_add", {"a": 1}) == 2
        await bridge.close()
        with pytest.raises(BridgeError, match="was stopped with its session"):
            await bridge.use(context, "shop_add", {"a": 1})

    asyncio.run(play())


def test_a_server_that_is_not_declared_is_told_with_what_to_write() -> None:
    async def play() -> None:
        bridge = Mcp()
        await bridge.open(FakeBridgeSession())
        with pytest.raises(ScriptError) as caught:
            await bridge.offered(FakeContext(), "shop")
        assert caught.value.code == "unknown" and "[mcp.shop]" in str(caught.value)

    asyncio.run(play())


def test_changed_settings_hold_from_the_next_call() -> None:
    async def play() -> None:
        bridge, context = Mcp(), FakeContext()
        await bridge.open(FakeBridgeSession(settings={"mcp": SHOP}))
        assert await bridge.use(context, "shop_add", {"a": 1}) == 2
        bridge.configure({"mcp": GONE})
        with pytest.raises(BridgeError, match="cannot start"):
            await bridge.use(context, "shop_add", {"a": 1})
        await bridge.close()

    asyncio.run(play())


async def run(session: Session, engine: str, cell: dict[str, str]) -> Any:
    result = await session.run(cell[engine], engine=engine)
    if result.error is not None:
        raise result.error
    return result.values[0] if result.values else None


@every_engine
def test_a_script_calls_a_servers_tool_as_any_other(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Session(folder=tmp_path, settings=Settings(mcp=SHOP)) as session:
            assert await run(session, engine, LOAD) == ["shop_add", "shop_die"]
            assert await run(session, engine, ADD) == 5
            wrong = {"lua": "tools.call('shop_add', { a = 'x' })", "javascript": "await tools.call('shop_add', { a: 'x' })"}
            with pytest.raises(ScriptError) as caught:
                await run(session, engine, wrong)
            assert caught.value.code == "invalid_arguments" and "$.a" in str(caught.value)

    asyncio.run(play())


@every_engine
def test_a_replay_starts_no_server(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        cassette = tmp_path / "x.cassette.jsonl"
        for mode, declared in (("record", SHOP), ("replay", GONE)):
            async with Session(folder=tmp_path, settings=Settings(mcp=declared)) as session:
                session.tape(mode, cassette)  # type: ignore[arg-type]
                assert await run(session, engine, LOAD) == ["shop_add", "shop_die"]
                assert await run(session, engine, ADD) == 5
                session.end_taping()

    asyncio.run(play())


@every_engine
def test_a_tool_that_is_dangerous_is_not_called_where_the_user_is_to_be_asked_and_is_not_there(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Session(folder=tmp_path, settings=Settings(preset="strict", mcp=SHOP)) as session:
            with pytest.raises(DeniedError):
                await run(session, engine, LOAD)
            assert not [event for event in session.recorder if isinstance(event, CallStarted) and event.method == "offered"]

    asyncio.run(play())


@every_engine
def test_a_server_that_does_not_start_is_told_of_and_takes_no_other_with_it(engine: str, tmp_path: Path) -> None:
    load_all = {"lua": "mcp.load()", "javascript": "await mcp.load()"}

    async def play() -> None:
        declared = {**SHOP, "gone": GONE["shop"], "away": {"url": "http://127.0.0.1:1/mcp", "auth": "no_such_secret"}}
        sink = Recording()
        async with Session(folder=tmp_path, settings=Settings(mcp=declared), sink=sink) as session:
            assert await run(session, engine, load_all) == ["shop_add", "shop_die"]
            assert await run(session, engine, ADD) == 5
            told = sink.text("stderr")
            assert "the MCP server 'gone'" in told and "[mcp.gone]" in told and "/nowhere/at/all" in told
            assert "the MCP server 'away'" in told and "no_such_secret" in told

    asyncio.run(play())


@every_engine
def test_where_no_server_starts_loading_all_of_them_fails(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with Session(folder=tmp_path, settings=Settings(mcp=GONE)) as session:
            with pytest.raises(BridgeError, match="the MCP server 'shop' could not be started: cannot start") as caught:
                await run(session, engine, {"lua": "mcp.load()", "javascript": "await mcp.load()"})
            assert caught.value.code == "mcp_start"

    asyncio.run(play())
