"""What a hostile script can say of a router, and a hostile provider do to one."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from llmspell_kernel.errors import BridgeError, SpellError
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.openai_server import OpenAIServer, Reply

ENGINES = ("lua", "javascript")
every_engine = pytest.mark.parametrize("engine", ENGINES)
ASK = {
    "lua": "return llm.chat('hi', {model = llm.router{models = {'openai/a', 'openai/b'}, fallbacks = {'openai/c'}}, retries = 10, timeout_s = 2})",
    "javascript": "await llm.chat('hi', {model: await llm.router({models: ['openai/a', 'openai/b'], fallbacks: ['openai/c']}), "
    "retries: 10, timeoutS: 2})",
}


def play(engine: str, cell: dict[str, str]) -> Any:
    async def run() -> Any:
        async with Session(settings=Settings(model="spell/echo")) as session, asyncio.timeout(60):
            return await session.run(cell[engine], engine=engine)

    return asyncio.run(run())


@every_engine
@pytest.mark.parametrize(
    "name",
    ["openai/../admin", "openai/http://elsewhere/v1", "openai//x", "http://elsewhere/v1", "openai/a?b", "openai/a b", "router/x", ""],
)
def test_no_name_of_a_model_steers_where_it_is_asked(engine: str, name: str) -> None:
    cell = {"lua": f"llm.router{{models = {{'{name}'}}}}", "javascript": f"await llm.router({{models: ['{name}']}})"}
    error = play(engine, cell).error
    assert isinstance(error, SpellError) and error.code in ("unknown_model", "argument"), error


@every_engine
@pytest.mark.parametrize("option", ["api_base", "base_url", "api_key", "headers", "litellm_params", "model_list", "redis_url"])
def test_no_option_of_litellms_router_can_be_said(engine: str, option: str) -> None:
    cell = {
        "lua": f"llm.router{{models = {{'spell/echo'}}, {option} = 'http://elsewhere'}}",
        "javascript": f"await llm.router({{models: ['spell/echo'], {option}: 'http://elsewhere'}})",
    }
    error = play(engine, cell).error
    assert error is not None and "has no key" in error.message


@every_engine
def test_many_and_large_names_are_refused_fast(engine: str) -> None:
    cell = {
        "lua": "local m = {} for i = 1, 20000 do m[i] = 'openai/' .. i end pcall(llm.router, {models = m}) "
        "return select(2, pcall(llm.router, {models = {'spell/echo'}, weights = {[string.rep('x', 200000)] = 1}})).code",
        "javascript": "const m = Array.from({length: 20000}, (_, i) => 'openai/' + i); try { await llm.router({models: m}) } catch {}; let e;"
        "try { await llm.router({models: ['spell/echo'], weights: {['x'.repeat(200000)]: 1}}) } catch (x) { e = x }; e.code",
    }
    began = time.monotonic()
    assert play(engine, cell).value == "argument"
    assert time.monotonic() - began < 10


@every_engine
def test_a_provider_that_always_refuses_is_asked_so_often_and_no_more(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with OpenAIServer(Reply(status=503, message="busy")) as server:
            monkeypatch.setenv("OPENAI_API_BASE", server.address)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
            async with Session(settings=Settings(model="spell/echo")) as session, asyncio.timeout(60):
                error = (await session.run(ASK[engine], engine=engine)).error
                assert isinstance(error, BridgeError) and error.code == "server_error"
                assert 3 <= len(server.requests) <= 9  # two models and a fallback, again after 0.5 s and after 1 s

    asyncio.run(run())


@every_engine
def test_a_provider_that_asks_for_a_year_of_patience_is_not_waited_for(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with OpenAIServer(Reply(status=429, message="later", headers={"Retry-After": "31536000"})) as server:
            monkeypatch.setenv("OPENAI_API_BASE", server.address)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
            async with Session(settings=Settings(model="spell/echo")) as session, asyncio.timeout(60):
                error = (await session.run(ASK[engine], engine=engine)).error
                assert isinstance(error, BridgeError) and error.code == "rate_limit"
                assert len(server.requests) == 3

    asyncio.run(run())
