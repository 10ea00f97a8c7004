"""Vectors of texts: by a provider on the loopback, and by their words alone."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.errors import ArgumentError, BridgeError, LimitError
from llmspell_kernel.services.llm.embed_options import MAX_NUMBERS, EmbedOptions
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.services.llm.word_vectors import vector_of
from llmspell_kernel.testing.context import FakeContext
from llmspell_kernel.testing.openai_server import Reply

MODEL = "openai/text-embedding-3-small"


def test_a_provider_gives_a_vector_for_each_text_in_their_order_with_its_use_and_price(provider: Any) -> None:
    async def run() -> None:
        async with provider(Reply(vectors=[[1.0, 2], [3.0, 4.0]], usage={"prompt_tokens": 1000, "total_tokens": 1000})) as (
            server,
            service,
        ):
            context = FakeContext()
            assert await Llm(service).embed(context, ["a", "b"], EmbedOptions(MODEL, dimensions=512)) == [[1.0, 2.0], [3.0, 4.0]]
            assert (server.requests[0]["input"], server.requests[0]["dimensions"]) == (["a", "b"], 512)
            (reserved,), (used,) = context.of("reserve"), context.of("usage")
            assert reserved["input_tokens"] == 2 and reserved["cost_usd"] == pytest.approx(2 * 2e-8)
            assert (used["model"], used["input_tokens"], used["attempts"]) == (MODEL, 1000, 1)
            assert used["cost_usd"] == pytest.approx(1000 * 2e-8)

    asyncio.run(run())


def test_the_model_of_the_provider_in_use_is_taken_and_one_text_gives_one_vector(provider: Any) -> None:
    async def run() -> None:
        async with provider(Reply(vectors=[[0.5]])) as (server, service):
            assert await Llm(service).embed(FakeContext(), "a") == [0.5]
            assert server.requests[0]["model"] == "text-embedding-3-small"

    asyncio.run(run())


@pytest.mark.parametrize(
    "reply",
    [
        Reply(vectors=[[1.0]]),
        Reply(vectors=[[1.0], [2.0], [3.0]]),
        Reply(vectors=[[1.0], ["x"]]),
        Reply(vectors=[[1.0], []]),
        Reply(vectors=[[1.0], [float("nan")]]),
        Reply(vectors=[[1.0], [[1.0]]]),
    ],
)
def test_a_provider_that_answers_nonsense_is_told_and_the_call_counts(provider: Any, reply: Reply) -> None:
    async def run() -> None:
        async with provider(reply) as (_, service):
            context = FakeContext()
            with pytest.raises(BridgeError):
                await Llm(service).embed(context, ["a", "b"], EmbedOptions(MODEL))
            (used,) = context.of("usage")
            assert used["attempts"] == 1

    asyncio.run(run())


def test_a_refusal_costs_nothing_and_a_missing_key_sends_nothing(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with provider(Reply(status=401, message="bad key")) as (server, service):
            context = FakeContext()
            with pytest.raises(BridgeError) as raised:
                await Llm(service).embed(context, "a", EmbedOptions(MODEL))
            assert raised.value.code == "bad_key" and "sk-very-secret" not in raised.value.message
            monkeypatch.delenv("OPENAI_API_KEY")
            with pytest.raises(BridgeError) as raised:
                await Llm(service).embed(context, "a", EmbedOptions(MODEL))
            assert raised.value.code == "missing_key"
            assert [(used["cost_usd"], used["attempts"]) for used in context.of("usage")] == [(0.0, 1), (0.0, 0)]
            assert len(server.requests) == 1

    asyncio.run(run())


def test_a_provider_that_hangs_meets_the_timeout(provider: Any) -> None:
    async def run() -> None:
        async with provider(Reply(vectors=[[1.0]]), Reply(end="mute")) as (server, service):
            await Llm(service).embed(FakeContext(), "a", EmbedOptions(MODEL))  # imports the library and opens its client
            context = FakeContext()
            with pytest.raises(BridgeError, match=r"did not answer within 1 s") as raised:
                await Llm(service).embed(context, "a", EmbedOptions(MODEL, timeout_s=1))
            assert raised.value.code == "timeout" and context.of("usage")[0]["cost_usd"] is None
            await asyncio.wait_for(server.left.wait(), 5)

    asyncio.run(run())


def test_texts_that_share_words_are_near_and_the_same_text_is_the_same_vector() -> None:
    def near(one: str, other: str) -> float:
        return sum(a * b for a, b in zip(vector_of(one), vector_of(other), strict=True))

    assert near("The cat sat.", "the CAT sat") == pytest.approx(1, abs=1e-4)
    assert near("a cat on a mat", "the cat on the mat") > near("a cat on a mat", "stock prices fell") + 0.2
    assert math.hypot(*vector_of("some words")) == pytest.approx(1, abs=1e-4)
    assert [at for at, value in enumerate(vector_of("cat")) if value] == [at for at, value in enumerate(vector_of("CAT!")) if value]
    assert vector_of("...") == [0.0] * 512


def test_what_cannot_be_embedded_is_refused_before_anything_is_reserved() -> None:
    bridge, context = Llm(LlmService({}, local_installed=False)), FakeContext()

    def embed(texts: Any, **options: Any) -> Any:
        return asyncio.run(bridge.embed(context, texts, EmbedOptions(**options)))

    for texts in ([], "", [" "], ["a", ""]):
        with pytest.raises(ArgumentError, match="not empty"):
            embed(texts)
    with pytest.raises(LimitError, match="257 texts are more than the 256"):
        embed(["a"] * 257)
    with pytest.raises(LimitError, match="2,000,001 characters"):
        embed("a" * 2_000_001)
    for many in ({"dimensions": 1_954}, {"dimensions": 16_384}, {"model": "openai/text-embedding-3-large"}):
        with pytest.raises(LimitError, match="500,000 is the most of one call") as told:
            embed(["a"] * 256, **many)
        assert told.value.limit == "embed_numbers"
    for model in ("spell/echo", "nobody/x", "text-embedding-3-smal"):
        with pytest.raises(BridgeError) as raised:
            embed("a", model=model)
        assert raised.value.code == "unknown_model"
    bridge = Llm(LlmService({"LLMSPELL_MODEL": "anthropic/claude-haiku-4-5", "LLMSPELL_PRELOAD": "0"}, local_installed=False))
    with pytest.raises(ArgumentError, match="name the model"):
        embed("a")
    assert context.calls == []


def test_as_many_numbers_as_one_call_may_have_are_made() -> None:
    bridge = Llm(LlmService({}, local_installed=False))
    vectors = asyncio.run(bridge.embed(FakeContext(), ["a"] * 256, EmbedOptions(dimensions=MAX_NUMBERS // 256)))
    assert [len(vector) for vector in vectors] == [MAX_NUMBERS // 256] * 256


def test_a_provider_that_answers_with_more_numbers_than_asked_for_is_refused_and_counts(provider: Any) -> None:
    async def run() -> None:
        async with provider(Reply(vectors=[[1.0] * 16_000] * 40)) as (_, service):
            context = FakeContext()
            with pytest.raises(LimitError, match="640,000 numbers"):
                await Llm(service).embed(context, ["a"] * 40, EmbedOptions(MODEL))
            (used,) = context.of("usage")
            assert used["attempts"] == 1

    asyncio.run(run())
