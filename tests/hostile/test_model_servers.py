"""What a hostile server of models can answer to models.discover, and what stops it: sizes, times, redirects, wrong lists, names that steer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from llmspell_kernel.errors import BridgeError, DeniedError, SpellError
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.http_server import HttpServer, Received, Send, reply

ENGINES = ("lua", "javascript")
MiB = 1024 * 1024
ASK = {
    "lua": "return models.discover('{address}', {{timeout_s = {timeout_s}}})",
    "javascript": "await models.discover('{address}', {{timeoutS: {timeout_s}}})",
}
every_engine = pytest.mark.parametrize("engine", ENGINES)


async def endless(received: Received, send: Send) -> None:
    """A gigabyte, were it read."""
    await send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"models": [')
    entry = b'{"name": "a"},' * 70_000
    for _ in range(1024):
        await send(entry)


async def drip(received: Received, send: Send) -> None:
    await send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await send(b" ")
        await asyncio.sleep(0.02)


async def silence(received: Received, send: Send) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def discovering(**answers: Any) -> AsyncIterator[tuple[HttpServer, Session]]:
    async with HttpServer() as server:
        server.answers |= {"/api/tags": reply(b"", 404), "/v1/models": reply(b"", 404), **{f"/{k}": v for k, v in answers.items()}}
        settings = Settings(model="spell/echo", network={"allow_private": (server.authority,)})
        async with Session(settings=settings) as session, asyncio.timeout(60):
            yield server, session


async def discover(session: Session, engine: str, address: str, timeout_s: float = 10) -> Any:
    result = await session.run(ASK[engine].format(address=address, timeout_s=timeout_s), engine=engine)
    if result.error is not None:
        raise result.error
    return result.value


@every_engine
def test_a_list_without_end_is_given_up_before_it_fills_the_memory(engine: str) -> None:
    async def run() -> None:
        async with discovering() as (server, session):
            server.answers["/api/tags"] = endless
            before = psutil.Process().memory_info().rss
            with pytest.raises(SpellError) as caught:
                await discover(session, engine, server.address)
            assert caught.value.code == "limit"
            assert psutil.Process().memory_info().rss - before < 100 * MiB
            await asyncio.wait_for(server.left.wait(), 5)

    asyncio.run(run())


@every_engine
@pytest.mark.parametrize("answer", [drip, silence])
def test_a_server_that_takes_its_time_is_given_up(engine: str, answer: Any) -> None:
    async def run() -> None:
        async with discovering() as (server, session):
            server.answers["/api/tags"] = answer
            began = time.monotonic()
            with pytest.raises(BridgeError) as caught:
                await discover(session, engine, server.address, timeout_s=0.5)
            assert caught.value.code == "timeout" and time.monotonic() - began < 5

    asyncio.run(run())


@every_engine
def test_no_redirect_is_followed(engine: str) -> None:
    async def run() -> None:
        async with discovering() as (server, session):
            server.answers["/v1/models"] = server.answers["/api/tags"] = reply(status=302, location="/secret")
            server.answers["/secret"] = reply(b'{"models": [{"name": "a"}]}')
            with pytest.raises(BridgeError, match="leads elsewhere") as caught:
                await discover(session, engine, server.address)
            assert caught.value.code == "http_status"
            assert "/secret" not in [request.target for request in server.requests]

    asyncio.run(run())


@every_engine
@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": 7}', b"\xff\xfe", b"[" * 200_000, b'{"models": {"a": 1}}'])
def test_a_wrong_list_is_told_and_nothing_of_it_is(engine: str, body: bytes) -> None:
    async def run() -> None:
        async with discovering() as (server, session):
            server.answers["/v1/models"] = server.answers["/api/tags"] = reply(body)
            with pytest.raises(BridgeError, match="not with a list of models") as caught:
                await discover(session, engine, server.address)
            assert caught.value.code == "bad_answer" and "html" not in caught.value.message

    asyncio.run(run())


@every_engine
def test_names_with_control_characters_or_paths_never_reach_a_script(engine: str) -> None:
    names = ["\x1b]0;owned\x07", "a\nb", "a\u202eb", "../../admin", "a//b", "good", "x" * 100_000]
    body = json.dumps({"models": [{"name": name, "details": {"family": "\x1b[2J"}} for name in names]}).encode()

    async def run() -> None:
        async with discovering() as (server, session):
            server.answers["/api/tags"] = reply(body)
            found = await discover(session, engine, server.address)
            assert found["models"] == [{"name": "ollama_chat/good", "id": "good"}] and found["left_out"] == 6

    asyncio.run(run())


@every_engine
def test_a_server_that_the_policy_does_not_allow_is_not_asked(engine: str) -> None:
    async def run() -> None:
        async with HttpServer() as server, Session(settings=Settings(model="spell/echo")) as session:
            with pytest.raises(DeniedError, match="allow_private"):
                await discover(session, engine, server.address)
            assert server.requests == []

    asyncio.run(run())


@every_engine
@pytest.mark.parametrize(
    "address", ["http://user:password@host/", "file:///etc/passwd", "http://a b/", "http://x/\\nHost: y", "gopher://x/"]
)
def test_an_address_that_is_none_is_an_error_and_nothing_is_opened(engine: str, address: str) -> None:
    async def run() -> None:
        async with Session(settings=Settings(model="spell/echo")) as session:
            with pytest.raises(SpellError) as caught:
                await discover(session, engine, address)
            assert caught.value.code in ("url", "denied", "script"), caught.value.code

    asyncio.run(run())
