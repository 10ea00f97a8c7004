"""Routers, and what is told of providers, from scripts of both languages through a real session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import DeniedError, LimitError
from llmspell_kernel.journal.events import CallUsage, Retried
from llmspell_kernel.services.llm.providers import PROVIDERS
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.openai_server import OpenAIServer, Reply

from ..session.test_kept_functions import kill

ENGINES = ("lua", "javascript")
A, B = "openai/gpt-4o-mini", "openai/gpt-4o"
BUSY = Reply(status=503, message="busy")
MAKE = {
    "lua": f"name = llm.router{{name = 'mine', models = {{'{A}'}}, fallbacks = {{'{B}'}}, cooldown_s = 60, allowed_fails = 0}}",
    "javascript": f"var name = await llm.router({{name: 'mine', models: ['{A}'], fallbacks: ['{B}'], cooldownS: 60, allowedFails: 0}});",
}
GENERATE = {
    "lua": "local g = llm.generate('hi', {model = name}) return {name, g.text, g.model}",
    "javascript": "const g = await llm.generate('hi', {model: name}); [name, g.text, g.model]",
}
STREAM = {
    "lua": "local s = llm.stream('hi', {model = name}) return {s:text(), s:usage().model}",
    "javascript": "const s = await llm.stream('hi', {model: name}); const text = await s.text(); [text, (await s.usage()).model]",
}
ROUTES = {
    "lua": "local got = {} for i, r in ipairs(llm.routes()) do got[i] = {r.model, r.fallback, r.healthy, r.calls, r.failures, r.last_error, "
    "r.cools_for_s > 0} end return got",
    "javascript": "(await llm.routes()).map(r => [r.model, r.fallback, r.healthy, r.calls, r.failures, r.last_error, r.cools_for_s > 0])",
}
ALL_ROUTES = {"lua": "return llm.routes()", "javascript": "await llm.routes()"}
CHOOSE = {"lua": "llm.set_model(name) return llm.chat('hi')", "javascript": "await llm.setModel(name); await llm.chat('hi')"}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS:
        for variable in (*provider.keys, provider.address):
            monkeypatch.delenv(variable, raising=False)


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, *replies: Reply, **budgets: Any) -> AsyncIterator[tuple[OpenAIServer, Session]]:
    async with OpenAIServer() as server:
        server.replies.extend(replies)
        monkeypatch.setenv("OPENAI_API_BASE", server.address)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
        async with Session(settings=Settings(model="spell/echo", budgets=budgets)) as session, asyncio.timeout(60):
            yield server, session


async def value(session: Session, engine: str, *cells: dict[str, str]) -> Any:
    for cell in cells:
        result = await session.run(cell[engine], engine=engine)
        if result.error is not None:
            raise result.error
    return result.value


@pytest.mark.parametrize("engine", ENGINES)
def test_a_router_is_used_like_a_model_and_the_trace_tells_who_answered(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    async def run() -> None:
        async with serving(monkeypatch, BUSY, Reply(chunks=["from the fallback"])) as (server, session):
            assert await value(session, engine, MAKE, GENERATE) == ["router/mine", "from the fallback", B]
            (used,) = [event for event in session.recorder if isinstance(event, CallUsage)]
            assert (used.model, used.attempts) == (B, 2)
            (retried,) = [event for event in session.recorder if isinstance(event, Retried)]
            assert (retried.attempt, retried.code) == (2, "server_error") and A in retried.message
            assert await value(session, engine, ROUTES) == [
                [A, False, False, 1, 1, "server_error", True],
                [B, True, True, 1, 0, "", False],
            ]
            assert await value(session, engine, STREAM) == ["Hello from the server", B]
            assert await value(session, engine, CHOOSE) == "Hello from the server"
            assert [request["model"] for request in server.requests] == ["gpt-4o-mini", "gpt-4o", "gpt-4o", "gpt-4o"]

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_each_model_of_a_router_must_be_allowed_and_nothing_is_sent_where_one_is_not(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    async def run() -> None:
        async with serving(monkeypatch, models=(A, "spell/*")) as (server, session):
            with pytest.raises(DeniedError, match=B):
                await value(session, engine, MAKE, GENERATE)
            assert server.requests == []
        async with serving(monkeypatch, models=("openai/gpt-4o*",)) as (_, session):
            assert (await value(session, engine, MAKE, GENERATE))[2] == A

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_dearest_of_a_routers_models_must_fit_the_budget(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    ask = {
        "lua": "return llm.chat('hi', {model = name, max_tokens = 1000})",
        "javascript": "await llm.chat('hi', {model: name, maxTokens: 1000})",
    }

    async def run() -> None:
        async with serving(monkeypatch, cell_cost_usd=0.002) as (server, session):
            with pytest.raises(LimitError):
                await value(session, engine, MAKE, ask)
            assert server.requests == []
        async with serving(monkeypatch, cell_cost_usd=0.02) as (_, session):
            assert await value(session, engine, MAKE, ask) == "Hello from the server"

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_router_of_one_state_is_there_for_the_others_and_after_its_own_was_lost(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    ask = {"lua": "return llm.chat('hi', {model = 'router/mine'})", "javascript": "await llm.chat('hi', {model: 'router/mine'})"}
    named = {"lua": "return llm.chat('hi', {model = name})", "javascript": "await llm.chat('hi', {model: name})"}

    async def run() -> None:
        async with serving(monkeypatch) as (_, session):
            await value(session, engine, MAKE)
            other = next(name for name in ENGINES if name != engine)
            assert await value(session, other, ask) == "Hello from the server"
            await kill(session, engine)
            assert await value(session, engine, named) == "Hello from the server"
            calls = {route["model"]: route["calls"] for route in await value(session, engine, ALL_ROUTES)}
            assert calls == {A: 2, B: 0}  # made again as it is, it keeps what it knew
            await session.forget("main", engine)
            assert await value(session, engine, ask) == "Hello from the server"

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_wrong_routers_are_told_with_the_nearest_names(engine: str) -> None:
    cells = {
        "lua": [
            ("llm.router{models = {'spell/ecko'}}", "did you mean 'spell/echo'"),
            ("llm.router{model = {'spell/echo'}}", "did you mean 'models'"),
            ("llm.router{models = {'spell/echo'}, strategy = 'least-bussy'}", "'least-busy'"),
            ("llm.chat('hi', {model = 'router/nobody'})", "there is no router 'router/nobody'"),
        ],
        "javascript": [
            ("await llm.router({models: ['spell/ecko']})", "did you mean 'spell/echo'"),
            ("await llm.router({model: ['spell/echo']})", "did you mean 'models'"),
            ("await llm.router({models: ['spell/echo'], strategy: 'least-bussy'})", "'least-busy'"),
            ("await llm.chat('hi', {model: 'router/nobody'})", "there is no router 'router/nobody'"),
        ],
    }[engine]

    async def run() -> None:
        async with Session(settings=Settings(model="spell/echo")) as session:
            for cell, words in cells:
                error = (await session.run(cell, engine=engine)).error
                assert error is not None and words in error.message, cell

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_providers_tell_that_a_key_is_there_and_no_more_of_it(monkeypatch: pytest.MonkeyPatch, engine: str, tmp_path: Path) -> None:
    canary = "sk-c4n4ry-0f-a-key-that-is-n0where"
    monkeypatch.setenv("GOOGLE_API_KEY", canary)
    ask = {"lua": "return llm.providers()", "javascript": "await llm.providers()"}

    async def run() -> None:
        async with Session(settings=Settings(model="spell/echo"), folder=tmp_path) as session:
            session.keep_journal()
            session.tape("record", tmp_path / "providers.jsonl")
            told = {provider["name"]: provider for provider in await value(session, engine, ask)}
            found = {
                (name, provider["key"], provider["where"], provider["local"])
                for name, provider in told.items()
                if name in ("spell", "openai", "gemini", "ollama")
            }
            assert found == {
                ("spell", True, "", True),
                ("openai", False, "OPENAI_API_KEY", False),
                ("gemini", True, "GOOGLE_API_KEY", False),
                ("ollama", True, "", True),
            }
            assert told["openai"]["models"] > 10 and told["ollama"]["address"] == "OLLAMA_API_BASE"
            assert canary not in json.dumps(told)
            assert not [event for event in session.recorder if canary in repr(event)]

    asyncio.run(run())
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not [path for path in written if canary.encode() in path.read_bytes()]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_replay_makes_the_router_again_and_sends_nothing(monkeypatch: pytest.MonkeyPatch, engine: str, tmp_path: Path) -> None:
    file = tmp_path / "cassette.jsonl"

    async def run() -> None:
        async with serving(monkeypatch, BUSY) as (_, session):
            session.tape("record", file)
            recorded = await value(session, engine, MAKE, GENERATE)
        async with serving(monkeypatch) as (server, session):
            session.tape("replay", file)
            assert await value(session, engine, MAKE, GENERATE) == recorded == ["router/mine", "Hello from the server", B]
            assert server.requests == []

    asyncio.run(run())
