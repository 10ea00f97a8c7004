"""The bridge `llm`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges.llm import READ_AHEAD, Llm
from llmspell_kernel.errors import ArgumentError, BridgeError
from llmspell_kernel.services.llm.models import ChatOptions
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.testing.context import FakeContext
from llmspell_kernel.testing.openai_server import OpenAIServer, Reply
from llmspell_kernel.values import Callback


def scripted(*entries: Any) -> Llm:
    service = LlmService({"LLMSPELL_MODEL": "spell/scripted"}, local_installed=False)
    service.scripted.load(entries)
    return Llm(service)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def test_every_method_has_a_declaration_scripts_can_use() -> None:
    declared = declare(Llm)
    assert sorted(declared.methods) == [
        "batch",
        "chat",
        "compare",
        "complete",
        "consensus",
        "cost",
        "count_tokens",
        "embed",
        "file",
        "generate",
        "image",
        "last_batch",
        "list_models",
        "list_providers",
        "model",
        "object",
        "provider",
        "providers",
        "router",
        "routes",
        "set_model",
        "set_provider",
        "stream",
        "stream_chat",
    ]
    assert sorted(declared.resources["llm.stream"].methods) == ["close", "map", "next", "text", "usage"]
    assert declared.resources["llm.stream"].iterate == "next"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"temperature": 3}, "options.temperature"),
        ({"max_tokens": 0}, "options.max_tokens"),
        ({"timeout_s": 0}, "options.timeout_s"),
        ({"stop": 3}, "options.stop"),
    ],
)
def test_a_wrong_option_is_refused_before_the_model_is_asked(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        declare(Llm).methods["chat"].bind(["hi", options])


def test_chat_shows_each_piece_returns_the_text_and_reports_its_usage_once(context: FakeContext) -> None:
    assert run(scripted({"chunks": ["Hel", "lo"]}).chat(context, "hi there")) == "Hello"
    assert context.of("chunk") == ["Hel", "lo"]
    assert [
        (used["model"], used["input_tokens"], used["output_tokens"], used["cost_usd"], used["finish_reason"])
        for used in context.of("usage")
    ] == [("spell/scripted", 2, 2, 0.0, "stop")]


def test_an_answer_that_fails_in_the_middle_still_shows_its_text_and_reports_incomplete(context: FakeContext) -> None:
    bridge = scripted({"text": "half an", "error": {"code": "connection_lost", "message": "gone", "retryable": True}})
    with pytest.raises(BridgeError, match="gone"):
        run(bridge.chat(context, "hi"))
    assert context.of("chunk") == ["half ", "an"]
    assert [used["finish_reason"] for used in context.of("usage")] == ["incomplete"]


def test_complete_takes_max_tokens_and_refuses_zero(context: FakeContext) -> None:
    bridge = Llm(LlmService({}, local_installed=False))
    assert run(bridge.complete(context, "a b c", 2)) == "echo: a "
    with pytest.raises(ArgumentError, match="at least 1"):
        run(bridge.complete(context, "a", 0))


def test_generate_tells_everything_about_the_answer(context: FakeContext) -> None:
    bridge = scripted(
        {
            "text": "ok",
            "tool_calls": [{"id": "c1", "name": "add", "arguments": {"a": 1}}],
            "usage": {"input_tokens": 10, "output_tokens": 2, "cached_tokens": 4, "cost_usd": 0.5},
        }
    )
    answer = run(bridge.generate(context, [{"role": "user", "content": "hi"}]))
    assert answer.pop("latency_ms") >= 0
    assert answer == {
        "text": "ok",
        "model": "spell/scripted",
        "finish_reason": "tool_calls",
        "usage": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12, "cached_tokens": 4},
        "cost_usd": 0.5,
        "tool_calls": [{"id": "c1", "name": "add", "arguments": {"a": 1}}],
    }


def test_a_stream_gives_its_pieces_then_nothing_again_and_again(context: FakeContext) -> None:
    async def read() -> None:
        stream = await scripted("one two").stream(context, "hi")
        assert [await stream.next(context) for _ in range(4)] == ["one ", "two", None, None]
        assert await stream.text(context) == "one two"
        usage = await stream.usage(context)
        assert (usage["finish_reason"], usage["total_tokens"], usage["cost_usd"]) == ("stop", 3, 0.0)
        await stream.release()

    run(read())
    assert context.of("chunk") == ["one ", "two"]
    assert len(context.of("usage")) == 1


def test_a_streams_text_waits_for_the_rest(context: FakeContext) -> None:
    async def read() -> str:
        stream = await scripted("one two three").stream(context, "hi")
        await stream.next(context)
        return await stream.text(context)

    assert run(read()) == "one two three"


def test_readers_that_wait_at_the_same_time_all_meet_the_end(context: FakeContext) -> None:
    async def read() -> list[str | None]:
        stream = await scripted("one").stream(context, "hi")
        return await asyncio.wait_for(asyncio.gather(*(stream.next(context) for _ in range(3))), 5)

    assert sorted(map(str, run(read()))) == ["None", "None", "one"]


def test_a_stream_that_fails_gives_its_pieces_then_its_error_once_then_its_text(context: FakeContext) -> None:
    async def read() -> None:
        stream = await scripted({"text": "half an", "error": {"message": "gone"}}).stream(context, "hi")
        assert [await stream.next(context) for _ in range(2)] == ["half ", "an"]
        with pytest.raises(BridgeError, match="gone"):
            await stream.next(context)
        assert await stream.next(context) is None
        assert await stream.text(context) == "half an"
        assert (await stream.usage(context))["finish_reason"] == "incomplete"

    run(read())
    assert len(context.of("usage")) == 1


def test_a_stream_reads_ahead_only_as_far_as_its_bound(context: FakeContext) -> None:
    async def read() -> None:
        stream = await scripted({"chunks": ["x"] * 500}).stream(context, "hi")
        # Far more turns of the loop than it would take to read all 500 pieces.
        for _ in range(5000):
            await asyncio.sleep(0)
        assert len(context.of("chunk")) == READ_AHEAD + 1
        assert await stream.text(context) == "x" * 500

    run(read())


def test_closing_a_stream_stops_the_answer_wakes_its_reader_and_reports_once(context: FakeContext) -> None:
    async def read() -> None:
        stream = await scripted({"text": "never", "delay_s": 3600}).stream(context, "hi")
        reader = asyncio.create_task(stream.next(context))
        await asyncio.sleep(0)
        await stream.close(context)
        await stream.release()
        assert await asyncio.wait_for(reader, 5) is None
        assert await stream.text(context) == ""

    run(read())
    assert [used["finish_reason"] for used in context.of("usage")] == ["incomplete"]


def test_a_wrong_prompt_or_model_fails_where_the_stream_is_made(context: FakeContext) -> None:
    with pytest.raises(ArgumentError, match="message 1"):
        run(scripted().stream(context, [{"role": "usr", "content": "x"}]))
    with pytest.raises(BridgeError, match="unknown model"):
        run(scripted().stream(context, "x", ChatOptions(model="spell/nothing")))
    assert context.calls == []


def test_the_model_is_told_and_chosen(context: FakeContext) -> None:
    async def choose() -> list[str]:
        bridge = Llm(LlmService({}, local_installed=False))
        return [await bridge.model(context), await bridge.set_model(context, "spell/scripted"), await bridge.model(context)]

    assert run(choose()) == ["spell/echo", "spell/scripted", "spell/scripted"]


def test_a_key_in_the_environment_is_hinted_at_once_and_not_used(context: FakeContext) -> None:
    async def ask() -> str:
        bridge = Llm(LlmService({"OPENAI_API_KEY": "sk-very-secret"}, local_installed=False))
        await bridge.chat(context, "hi")
        return await bridge.chat(context, "hi")

    assert run(ask()) == "echo: hi"
    [(stream, text)] = context.of("write")
    assert stream == "stderr"
    assert 'llm.set_model("openai/gpt-4o-mini")' in text
    assert "sk-very-secret" not in text


def test_releasing_a_stream_closes_the_providers_connection(context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    async def read() -> None:
        async with OpenAIServer(Reply(chunks=["x "], end="hang")) as server:
            monkeypatch.setenv("OPENAI_API_BASE", server.address)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
            stream = await Llm(LlmService()).stream(context, "hi", ChatOptions(model="openai/test-model"))
            assert await stream.next(context) == "x "
            await stream.release()
            await asyncio.wait_for(server.left.wait(), 5)

    run(read())
    assert [used["finish_reason"] for used in context.of("usage")] == ["incomplete"]


def test_releasing_a_stream_midway_reports_the_tokens_so_far(context: FakeContext) -> None:
    async def read() -> None:
        stream = await scripted({"chunks": ["x "] * 500}).stream(context, "hi")
        assert [await stream.next(context) for _ in range(3)] == ["x "] * 3
        await stream.release()

    run(read())
    (used,) = context.of("usage")
    assert used["finish_reason"] == "incomplete"
    assert used["output_tokens"] == len(context.of("chunk")) >= 3


def test_stream_chat_calls_the_function_with_each_piece_and_stops_where_it_returns_false() -> None:
    got: list[str] = []

    def take(piece: str) -> bool | None:
        got.append(piece)
        return False if piece == "two " else None

    context = FakeContext(functions={5: take})
    assert run(scripted("one two three").stream_chat(context, "hi", Callback(5))) is None
    assert got == ["one ", "two "]
    got.clear()
    assert run(scripted("one three").stream_chat(context, "hi", Callback(5), ChatOptions(max_tokens=9))) is None
    assert got == ["one ", "three"]


def test_stream_chat_without_a_function_is_stream(context: FakeContext) -> None:
    async def read() -> str:
        stream = await scripted("one two").stream_chat(context, "hi", ChatOptions(max_tokens=9))
        assert stream is not None
        return await stream.text(context)

    assert run(read()) == "one two"


def test_a_provider_is_set_by_name_with_its_known_model_or_a_given_one(context: FakeContext) -> None:
    bridge = Llm(LlmService({"LLMSPELL_PRELOAD": "0"}, local_installed=False))
    assert run(bridge.provider(context)) == "spell"
    assert run(bridge.set_provider(context, "openai")) == "openai/gpt-4o-mini" == run(bridge.model(context))
    assert run(bridge.provider(context)) == "openai"
    assert run(bridge.set_provider(context, "anthropic", "claude-sonnet-4-5")) == "anthropic/claude-sonnet-4-5"
    assert run(bridge.set_provider(context, "spell", "spell/echo")) == "spell/echo"
    with pytest.raises(BridgeError, match="unknown provider 'opnai'; did you mean 'openai'") as caught:
        run(bridge.set_provider(context, "opnai"))
    assert caught.value.code == "unknown_provider"
    assert run(bridge.model(context)) == "spell/echo"


def test_models_are_listed_by_provider(context: FakeContext) -> None:
    bridge = Llm(LlmService({"LLMSPELL_PRELOAD": "0"}, local_installed=False))
    assert run(bridge.list_models(context)) == ["spell/echo", "spell/local", "spell/scripted"]
    names = run(bridge.list_models(context, "openai"))
    assert "openai/gpt-4o-mini" in names and all(name.startswith("openai/") for name in names)
    assert {"spell", "openai", "ollama_chat"} <= set(run(bridge.list_providers(context)))
    with pytest.raises(BridgeError, match="unknown provider 'nobody'"):
        run(bridge.list_models(context, "nobody"))
