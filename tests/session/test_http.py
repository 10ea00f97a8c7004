"""Requests of a session: presets and settings decide, and whatever ends a cell ends its requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmspell_kernel import Session
from llmspell_kernel.errors import DeniedError, Interrupted
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.http_server import HttpServer, Received, Send, reply

GET = {"lua": 'return http.get("{url}").text', "javascript": '(await http.get("{url}")).text'}


@asynccontextmanager
async def site() -> AsyncIterator[tuple[HttpServer, asyncio.Event]]:
    """A server that answers at /, and hangs anywhere else once its answer has begun; the event says that it was asked there."""
    asked = asyncio.Event()

    async def hang(received: Received, send: Send) -> None:
        await send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        asked.set()
        await asyncio.Event().wait()

    async with HttpServer() as server:
        server.answers |= {"/": reply(b"here"), "*": hang}
        yield server, asked


def settings(server: HttpServer, **more: Any) -> Settings:
    return Settings(network={"allow_private": (server.authority,)}, **more)


@pytest.mark.parametrize("engine", GET)
@pytest.mark.parametrize("preset", ["minimal", "standard", "strict"])
def test_the_preset_strict_makes_no_requests_whatever_the_settings_list(engine: str, preset: str) -> None:
    async def run() -> None:
        async with site() as (server, _), Session(settings=settings(server, preset=preset)) as session:
            result = await session.run(GET[engine].format(url=server.address), engine=engine)
            if preset == "strict":
                assert isinstance(result.error, DeniedError) and "http.get is denied by the preset strict" in result.error.message
                assert server.connections == 0
            else:
                assert result.values == ["here"]

    asyncio.run(run())


def test_grants_of_the_settings_hold_for_each_method() -> None:
    async def run() -> None:
        async with site() as (server, _), Session(settings=settings(server), grants=Grants(deny=("http.post",))) as session:
            assert (await session.run(f'return http.post("{server.address}")')).error is not None
            assert (await session.run(f'return http.get("{server.address}").text')).values == ["here"]

    asyncio.run(run())


def test_a_change_of_the_settings_holds_for_the_next_request() -> None:
    async def run() -> None:
        async with site() as (server, _), Session() as session:
            code = f'return http.get("{server.address}").text'
            codes = []
            for changed in (Settings(), settings(server), Settings(network={"allow_private": (server.authority,), "deny": ("127.0.0.1",)})):
                session.configure(changed)
                result = await session.run(code)
                codes.append(result.error.code if result.error else result.value)
            assert codes == ["denied", "here", "denied"]

    asyncio.run(run())


@pytest.mark.parametrize("code", ['http.get("{url}")', 'for piece in http.stream("{url}") do print(piece) end'])
def test_an_interrupt_ends_the_request_at_once_and_closes_its_connection(code: str) -> None:
    async def run() -> None:
        async with site() as (server, asked), Session(settings=settings(server)) as session:
            cell = asyncio.create_task(session.run(code.format(url=f"{server.address}/hang")))
            await asyncio.wait_for(asked.wait(), 10)
            started = time.monotonic()
            session.interrupt()
            result = await cell
            assert isinstance(result.error, Interrupted)
            assert time.monotonic() - started < 1
            await asyncio.wait_for(server.left.wait(), 5)
            assert (await session.run(f'return http.get("{server.address}").text')).values == ["here"]

    asyncio.run(run())


def test_a_task_that_a_script_cancels_closes_its_connection() -> None:
    async def run() -> None:
        async with site() as (server, asked), Session(settings=settings(server)) as session:
            code = f'return async.race(function() http.get("{server.address}/hang") end, function() sleep(1) return "first" end)'
            cell = asyncio.create_task(session.run(code))
            await asyncio.wait_for(asked.wait(), 10)
            assert (await cell).values == ["first"]
            await asyncio.wait_for(server.left.wait(), 5)

    asyncio.run(run())


def test_a_stream_that_nobody_closed_ends_with_its_state_and_with_its_session() -> None:
    async def run() -> None:
        for end in ("state", "session"):
            async with site() as (server, asked):
                session = Session(settings=settings(server))
                result = await session.run(f'kept = http.stream("{server.address}/hang") return kept:next()')
                assert result.values == ["half"]
                if end == "state":
                    await session.forget("main", "lua")
                    await asyncio.wait_for(server.left.wait(), 5)
                await session.close()
                await asyncio.wait_for(server.left.wait(), 5)

    asyncio.run(run())


def test_a_secret_that_the_session_does_not_keep_is_not_sent() -> None:
    async def run() -> None:
        async with site() as (server, _), Session(settings=settings(server)) as session:
            result = await session.run(f'http.get("{server.address}", {{ auth = "token" }})')
            assert result.error is not None and "token" in result.error.message
            assert server.connections == 0

    asyncio.run(run())


def test_an_answer_too_large_to_cross_is_a_limit() -> None:
    async def run() -> None:
        async with site() as (server, _):
            server.answers["/large"] = reply(b"x" * 2_000_000)
            small = Settings(network={"allow_private": (server.authority,)}, limits={"value_bytes": 1_000_000})
            async with Session(settings=small) as session:
                result = await session.run(f'http.get("{server.address}/large")')
                assert result.error is not None and result.error.code == "limit"

    asyncio.run(run())
