"""Models through litellm, against a real HTTP server on the loopback."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest

from llmspell_kernel.errors import BridgeError
from llmspell_kernel.services.llm.models import ChatOptions, ToolCall, Usage
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.testing.openai_server import Reply


def test_an_answer_streams_with_its_usage(provider: Any) -> None:
    async def run() -> None:
        async with provider(Reply(chunks=["Hel", "lo"])) as (server, service):
            generation = service.generation("hi", ChatOptions(system="be kind", temperature=0.5, max_tokens=9, stop=["x"], seed=3))
            assert [text async for text in generation.texts()] == ["Hel", "lo"]
            assert (generation.finish_reason, generation.usage) == ("stop", Usage(7, 3, 0, None))
            sent = server.requests[0]
            assert sent["messages"] == [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
            assert (sent["model"], sent["temperature"], sent["max_tokens"], sent["stop"], sent["seed"]) == ("test-model", 0.5, 9, ["x"], 3)
            assert sent["stream_options"] == {"include_usage": True}

    asyncio.run(run())


def test_a_known_price_becomes_a_cost_with_cached_tokens_cheaper(provider: Any, read: Any) -> None:
    used = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    cached = {**used, "prompt_tokens_details": {"cached_tokens": 400}}

    async def run() -> None:
        async with provider(Reply(chunks=["x"], usage=used), Reply(chunks=["x"], usage=cached)) as (_, service):
            full, cheaper = [await read(service, model="gpt-4o-mini") for _ in range(2)]
            assert full.usage == Usage(1000, 100, 0, pytest.approx(1000 * 0.15e-6 + 100 * 0.6e-6))
            assert cheaper.usage.cached_tokens == 400
            assert 0 < cheaper.usage.cost_usd < full.usage.cost_usd

    asyncio.run(run())


def test_a_tool_call_that_comes_in_pieces_is_put_together(provider: Any, read: Any) -> None:
    calls = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": '}},
        {"index": 0, "function": {"arguments": "2}"}},
        {"index": 1, "id": "c2", "type": "function", "function": {"name": "sub", "arguments": "{broken"}},
    ]

    async def run() -> None:
        async with provider(Reply(tool_calls=calls, finish_reason="tool_calls")) as (server, service):
            generation = await read(service, tools=[{"name": "add", "parameters": {"type": "object"}}], tool_choice="auto")
            assert generation.tool_calls == [ToolCall("c1", "add", {"a": 2}), ToolCall("c2", "sub", "{broken")]
            assert generation.finish_reason == "tool_calls"
            assert server.requests[0]["tools"][0]["function"]["name"] == "add"

    asyncio.run(run())


def test_characters_cut_between_network_packets_arrive_whole(provider: Any) -> None:
    async def run() -> None:
        async with provider(Reply(chunks=["häß", "日本語", "🎉"], write_bytes=1)) as (_, service):
            assert [text async for text in service.generation("hi").texts()] == ["häß", "日本語", "🎉"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("reply", "code", "retryable", "words"),
    [
        (Reply(status=429, message="Slow down", headers={"Retry-After": "7"}), "rate_limit", True, "try again in 7 s (it said: Slow down)"),
        (Reply(status=500, message="boom in /srv/app/main.py"), "server_error", True, "it said: boom in ...)"),
        (Reply(status=503, message="busy"), "server_error", True, "overloaded or down"),
        (Reply(status=401, message="Incorrect API key: sk-very-secret"), "bad_key", False, "the key in OPENAI_API_KEY"),
        (Reply(status=403, message="no"), "forbidden", False, "does not let this key use"),
        (Reply(status=404, message="no such model", error_code="model_not_found"), "unknown_model", False, "did you mean 'openai/"),
        (Reply(status=400, message="odd request"), "bad_request", False, "odd request"),
        (
            Reply(status=400, message="This model's maximum context length is 10 tokens", error_code="context_length_exceeded"),
            "context_length",
            False,
            "too long",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_is_one_clear_error_without_secrets_and_without_retries_is_sent_once(
    provider: Any, read: Any, reply: Reply, code: str, retryable: bool, words: str
) -> None:
    async def run() -> None:
        async with provider(reply) as (server, service):
            with pytest.raises(BridgeError) as caught:
                await read(service, retries=0)
            assert (caught.value.code, caught.value.retryable) == (code, retryable)
            assert words in caught.value.message
            assert "sk-very-secret" not in caught.value.message
            assert "litellm" not in caught.value.message.lower()
            assert len(server.requests) == 1

    asyncio.run(run())


def test_litellm_puts_an_answer_together_once(provider: Any, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import litellm

    put_together = litellm.stream_chunk_builder
    times = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        times.append(1)
        return put_together(*args, **kwargs)

    async def run() -> None:
        async with provider(Reply(chunks=["Hel", "lo"])) as (_, service):
            assert (await read(service)).usage == Usage(7, 3, 0, None)

    monkeypatch.setattr(litellm, "stream_chunk_builder", counted)
    asyncio.run(run())
    assert len(times) == 1


@pytest.mark.parametrize("where", ["callbacks", "_async_success_callback"])
def test_loggers_that_the_user_gave_litellm_are_told_of_an_answer(
    provider: Any, read: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    import litellm
    from litellm.integrations.custom_logger import CustomLogger

    async def run() -> None:
        told = asyncio.Event()

        class Told(CustomLogger):
            async def async_log_success_event(self, *_: Any, **__: Any) -> None:
                told.set()

        monkeypatch.setattr(litellm, where, [Told()])
        async with provider(Reply(chunks=["Hel", "lo"])) as (_, service):
            await read(service)
            async with asyncio.timeout(10):
                await told.wait()

    for name in ("callbacks", "success_callback", "_async_success_callback"):
        monkeypatch.setattr(litellm, name, [])
    asyncio.run(run())


@pytest.mark.parametrize("end", ["cut", "quiet"])
def test_an_answer_cut_in_the_middle_is_an_error_that_keeps_what_came(provider: Any, end: str) -> None:
    async def run() -> None:
        async with provider(Reply(chunks=["a ", "b"], end=end)) as (_, service):
            generation = service.generation("hi")
            with pytest.raises(BridgeError, match="in the middle of the answer") as caught:
                async for _ in generation.texts():
                    pass
            assert (caught.value.code, caught.value.retryable) == ("connection_lost", True)
            assert (generation.text, generation.finish_reason) == ("a b", "incomplete")

    asyncio.run(run())


@pytest.mark.parametrize("reply", [Reply(chunks=["x "] * 200, delay_s=0.02), Reply(end="hang")], ids=["drip", "silence"])
def test_timeout_s_ends_a_slow_answer_and_its_connection(provider: Any, read: Any, reply: Reply) -> None:
    async def run() -> None:
        async with provider(Reply(), reply) as (server, service):
            await read(service)
            with pytest.raises(BridgeError, match="within 0.2 s") as caught:
                await read(service, timeout_s=0.2)
            assert (caught.value.code, caught.value.retryable) == ("timeout", True)
            await asyncio.wait_for(server.left.wait(), 5)

    asyncio.run(run())


def test_cancelling_in_mid_stream_closes_the_connection(provider: Any) -> None:
    async def run() -> None:
        async with provider(Reply(chunks=["x "], end="hang")) as (server, service):
            started = asyncio.Event()

            async def read() -> None:
                async for _ in service.generation("hi").texts():
                    started.set()

            task = asyncio.create_task(read())
            await asyncio.wait_for(started.wait(), 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(server.left.wait(), 5)

    asyncio.run(run())


def test_a_missing_key_is_said_before_anything_is_imported_or_sent(read: Any) -> None:
    with pytest.raises(BridgeError, match="set the environment variable ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN") as caught:
        asyncio.run(read(LlmService(), model="anthropic/claude-haiku-4-5"))
    assert (caught.value.code, caught.value.retryable) == ("missing_key", False)


def test_a_missing_key_of_a_provider_we_keep_no_table_of_is_named_too(monkeypatch: pytest.MonkeyPatch, read: Any) -> None:
    monkeypatch.delenv("REPLICATE_API_KEY", raising=False)
    with pytest.raises(BridgeError, match="REPLICATE_API_KEY") as caught:
        asyncio.run(read(LlmService(), model="replicate/meta/llama-3-70b-instruct"))
    assert caught.value.code == "missing_key"


@pytest.mark.parametrize(
    ("model", "variable", "words"),
    [
        ("openai/test-model", "OPENAI_API_BASE", "check that OPENAI_API_BASE"),
        ("ollama_chat/llama3.2", "OLLAMA_API_BASE", "check that OLLAMA_API_BASE"),
    ],
)
def test_a_provider_that_is_not_there_is_unreachable_and_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, read: Any, model: str, variable: str, words: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv(variable, "http://user:password@127.0.0.1:9")  # the discard port: nothing listens
    with pytest.raises(BridgeError) as caught:
        asyncio.run(read(LlmService(), model=model))
    assert (caught.value.code, caught.value.retryable) == ("unreachable", True)
    assert words in caught.value.message
    assert "password" not in caught.value.message


def test_a_key_set_after_the_service_was_made_is_used(provider: Any, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with provider() as (_, service):
            monkeypatch.delenv("OPENAI_API_KEY")
            with pytest.raises(BridgeError, match="OPENAI_API_KEY"):
                await read(service)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-late")
            assert (await read(service)).text == "Hello from the server"

    asyncio.run(run())


PRELOAD = """
import os, sys, threading
used = []
sys.addaudithook(lambda event, args: used.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
from llmspell_kernel.services.llm.service import LlmService
service = LlmService()
service.preload()
names = [thread.name for thread in threading.enumerate() if thread.daemon]
print(names)
if names:
    service._library.start().result()
    print("litellm" in sys.modules, sys.modules["litellm"].telemetry)
    print(os.environ["LITELLM_LOCAL_MODEL_COST_MAP"], os.environ["LITELLM_MODE"], os.environ["LANGSMITH_TRACING"], used)
"""


@pytest.mark.parametrize(
    ("environ", "printed"),
    [
        ({"LLMSPELL_MODEL": "openai/gpt-4o"}, ["['import-litellm']", "True False", "True PRODUCTION false []"]),
        ({"LLMSPELL_MODEL": "openai/gpt-4o", "LLMSPELL_PRELOAD": "0"}, ["[]"]),
        ({"LLMSPELL_MODEL": "spell/echo"}, ["[]"]),
    ],
)
def test_litellm_is_preloaded_only_for_a_model_that_needs_it_guarded_and_without_a_connection(
    environ: dict[str, str], printed: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRELOAD], capture_output=True, text=True, timeout=100, check=False, env={**os.environ, **environ}
    )
    assert (done.stdout.splitlines(), done.stderr) == (printed, "")
