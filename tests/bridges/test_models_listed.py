"""models.list, info, find, discover and export from both languages, through a real session."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.bridges.models import FindOptions, Models
from llmspell_kernel.errors import BridgeError, SpellError
from llmspell_kernel.services.llm.listing import Listing
from llmspell_kernel.services.llm.providers import PROVIDERS
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.context import FakeBridgeSession, FakeContext
from llmspell_kernel.testing.http_server import HttpServer, reply

ENGINES = ("lua", "javascript")
every_engine = pytest.mark.parametrize("engine", ENGINES)
TAGS = json.dumps({"models": [{"name": "llama3.2:latest", "size": 7}]}).encode()


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS:
        for variable in (*provider.keys, provider.address):
            monkeypatch.delenv(variable, raising=False)


async def value(session: Session, engine: str, cell: dict[str, str]) -> Any:
    result = await session.run(cell[engine], engine=engine)
    if result.error is not None:
        raise result.error
    return result.value


def play(engine: str, cell: dict[str, str], **settings: Any) -> Any:
    async def run() -> Any:
        async with Session(settings=Settings(model="spell/echo", **settings)) as session, asyncio.timeout(60):
            return await value(session, engine, cell)

    return asyncio.run(run())


@every_engine
def test_models_are_listed_by_provider_support_and_price(engine: str) -> None:
    found = play(
        engine,
        {
            "lua": "return models.list{provider = 'openai', supports = {'vision', 'json'}, max_price = 5, limit = 7}",
            "javascript": "await models.list({provider: 'openai', supports: ['vision', 'json'], maxPrice: 5, limit: 7})",
        },
    )
    assert len(found) == 7 and sorted(model["name"] for model in found) == [model["name"] for model in found]
    for model in found:
        assert model["provider"] == "openai" and {"vision", "json"} <= set(model["supports"])
        assert max(model["input_usd"], model["output_usd"]) <= 5


@every_engine
def test_a_model_is_found_by_its_name_and_a_wrong_one_told(engine: str) -> None:
    told = play(engine, {"lua": "return models.info('openai/gpt-4o-mini')", "javascript": "await models.info('openai/gpt-4o-mini')"})
    assert (told["context_window"], told["price"], told["input_usd"]) == (128_000, "known", 0.15)
    with pytest.raises(BridgeError, match="openai/gpt-4o-mini") as caught:
        play(engine, {"lua": "models.info('openai/gpt-4o-mni')", "javascript": "await models.info('openai/gpt-4o-mni')"})
    assert caught.value.code == "unknown_model"


@every_engine
@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("models.list({provider = 'opnai'})", "did you mean 'openai'"),
        ("models.list({supports = 'vison'})", "did you mean 'vision'"),
        ("models.find({needs = {'tool'}})", "did you mean 'tools'"),
        ("models.find({task = 'summarise'})", "did you mean 'summarize'"),
        ("models.find({prefr = 'fast'})", "did you mean 'prefer'"),
        ("models.find({prefer = 'nice'})", "'cheap', 'fast', 'good' or 'long'"),
        ("models.export('yaml')", "'json', 'markdown' or 'openapi'"),
        ("models.discover('olama')", "did you mean 'ollama'"),
        ("models.discover('anthropic')", "give an address instead"),
    ],
)
def test_wrong_names_are_told_with_the_nearest(engine: str, call: str, words: str) -> None:
    script = call.replace(" = ", ": ").replace("{'tool'}", "['tool']") if engine == "javascript" else call
    with pytest.raises(SpellError) as caught:
        play(engine, {"lua": script, "javascript": f"await {script}"})
    assert words in caught.value.message


@every_engine
def test_found_models_fit_and_say_why_with_what_was_measured_here(engine: str, tmp_path: Path) -> None:
    ask = {
        "lua": "return models.find{task = 'extract', needs = {'vision'}, budget = 0.01, prefer = 'good', provider = 'openai', limit = 3}",
        "javascript": "await models.find({task: 'extract', needs: ['vision'], budget: 0.01, prefer: 'good', provider: 'openai', limit: 3})",
    }
    found = play(engine, ask)
    assert len(found) == 3
    for choice in found:
        assert choice["cost_usd"] <= 0.01 and "supports json, vision" in choice["reason"] and "not measured here yet" in choice["reason"]


def test_what_the_journals_say_of_a_model_stands_beside_it() -> None:
    performance = {
        "models": [{"model": "openai/gpt-4o-mini", "calls": 8, "failures": {"timeout": 2}, "latency_p50_s": 0.7, "tokens_per_s": 40.0}]
    }

    async def run() -> Any:
        from llmspell_kernel.services.llm.catalogue import installed_prices

        bridge = Models(Listing(installed_prices))
        await bridge.open(FakeBridgeSession(performance=performance))
        return await bridge.find(FakeContext(), FindOptions(prefer="fast", provider="openai", limit=500))

    found = {choice["name"]: choice for choice in asyncio.run(run())}
    seen = found["openai/gpt-4o-mini"]
    assert (seen["calls"], seen["failure_rate"], seen["latency_p50_s"]) == (8, 0.25, 0.7)
    assert "here 0.7 s and 25% failures in 8 calls" in seen["reason"]
    assert list(found)[-1] == "openai/gpt-4o-mini"  # it failed too often


@every_engine
def test_with_key_leaves_providers_whose_key_is_set_or_that_need_none(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk-x")
    ask = {"lua": "return models.find{with_key = true, limit = 500}", "javascript": "await models.find({withKey: true, limit: 500})"}
    providers = {choice["provider"] for choice in play(engine, ask)}
    assert "groq" in providers and providers <= {"groq", "ollama", "ollama_chat"}


@every_engine
@pytest.mark.parametrize("form", ["json", "markdown", "openapi"])
def test_the_list_is_exported(engine: str, form: str) -> None:
    text = play(
        engine,
        {
            "lua": f"return models.export('{form}', {{provider = 'openai', limit = 3}})",
            "javascript": f"await models.export('{form}', {{provider: 'openai', limit: 3}})",
        },
    )
    assert text.count("`openai/") == 3 if form == "markdown" else json.loads(text)


@every_engine
def test_an_ollama_server_is_asked_where_its_variable_says_and_its_models_can_be_chosen(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = {
        "lua": "local f = models.discover('ollama') return {f.kind, f.models[1].name, f.models[1].size_bytes, "
        "llm.set_provider('ollama', f.models[1].id), llm.set_model(f.models[1].name)}",
        "javascript": "const f = await models.discover('ollama'); const m = f.models[0]; "
        "[f.kind, m.name, m.size_bytes, await llm.setProvider('ollama', m.id), await llm.setModel(m.name)]",
    }

    async def run() -> None:
        async with HttpServer() as server:
            server.answers["/api/tags"] = reply(TAGS, content_type="application/json")
            monkeypatch.setenv("OLLAMA_API_BASE", server.address)
            monkeypatch.setenv("LLMSPELL_PRELOAD", "0")
            settings = Settings(model="spell/echo", network={"allow_private": (server.authority,)})
            async with Session(settings=settings) as session:
                name = "ollama/llama3.2:latest"
                assert await value(session, engine, ask) == ["ollama", name, 7, name, name]
                assert len(server.requests) == 1

    asyncio.run(run())


@every_engine
def test_a_server_at_an_address_is_asked_in_each_form(engine: str) -> None:
    async def run() -> None:
        async with HttpServer() as server:
            server.answers |= {"/api/tags": reply(b"", 404), "/v1/models": reply(b'{"data": [{"id": "served"}]}')}
            settings = Settings(model="spell/echo", network={"allow_private": (server.authority,)})
            async with Session(settings=settings) as session:
                ask = {
                    "lua": f"return models.discover('{server.authority}').models",
                    "javascript": f"(await models.discover('{server.authority}')).models",
                }
                assert await value(session, engine, ask) == [{"name": "openai/served", "id": "served"}]
                assert [request.target for request in server.requests] == ["/api/tags", "/v1/models"]

    asyncio.run(run())


@every_engine
def test_where_nothing_listens_the_error_says_what_to_start_or_to_set(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        authority = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("OLLAMA_API_BASE", f"http://{authority}")
        with pytest.raises(BridgeError, match=r"start it \(ollama serve\), or set OLLAMA_API_BASE") as caught:
            play(
                engine,
                {"lua": "models.discover('ollama')", "javascript": "await models.discover('ollama')"},
                network={"allow_private": (authority,)},
            )
    assert caught.value.code == "unreachable" and caught.value.retryable


@every_engine
def test_a_replay_has_the_list_of_the_recording_wherever_the_server_was(
    engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "cassette.jsonl"
    ask = {"lua": "return models.discover('ollama').models", "javascript": "(await models.discover('ollama')).models"}

    async def run() -> None:
        async with HttpServer() as server:
            server.answers["/api/tags"] = reply(TAGS)
            monkeypatch.setenv("OLLAMA_API_BASE", server.address)
            async with Session(settings=Settings(model="spell/echo", network={"allow_private": (server.authority,)})) as session:
                session.tape("record", file)
                recorded = await value(session, engine, ask)
        monkeypatch.delenv("OLLAMA_API_BASE")
        async with Session(settings=Settings(model="spell/echo")) as session:
            session.tape("replay", file)
            assert await value(session, engine, ask) == recorded

    asyncio.run(run())


LITELLM_STAYS_OUT = """
import asyncio, sys
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
CELL = '''
models.list{provider = "openai"} models.info("gpt-4o-mini") models.find{task = "code", prefer = "good"} models.export("markdown")
llm.providers() llm.router{models = {"openai/gpt-4o", "openai/gpt-4o-mini"}} llm.routes()
'''
async def main():
    async with Session(settings=Settings(model="spell/echo")) as session:
        print((await session.run(CELL, engine="lua")).error, "litellm" in sys.modules)
asyncio.run(main())
"""


def test_the_catalogue_is_read_without_importing_litellm() -> None:
    done = subprocess.run([sys.executable, "-c", LITELLM_STAYS_OUT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("None False\n", "")
