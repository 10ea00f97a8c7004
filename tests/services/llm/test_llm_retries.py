"""When an answer is asked for again, and what it has used when the provider does not say."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import Any

import pytest

from llmspell_kernel.errors import BridgeError
from llmspell_kernel.services.llm.estimate import RunningUsage
from llmspell_kernel.services.llm.litellm_errors import _retry_after_s
from llmspell_kernel.services.llm.models import ChatOptions, Usage
from llmspell_kernel.services.llm.retries import MAX_WAIT_S, next_attempt
from llmspell_kernel.testing.openai_server import Reply


def failure(code: str = "rate_limit", after_s: float | None = None) -> BridgeError:
    error = BridgeError("no", code=code, retryable=True)
    error.retry_after_s = after_s
    return error


@pytest.mark.parametrize(
    ("error", "failed", "retries", "left_s", "chance", "wait_s"),
    [
        (failure(), 1, 2, 100, 0, 0.5),
        (failure(), 2, 2, 100, 0, 1.0),
        (failure(), 3, 2, 100, 0, None),
        (failure(), 1, 0, 100, 0, None),
        (failure("server_error"), 1, 1, 100, 0, 0.5),
        (failure("connection_lost"), 1, 2, 100, 0, None),
        (failure("bad_key"), 1, 2, 100, 0, None),
        (failure(after_s=7), 1, 2, 100, 0, 7.0),
        (failure(after_s=7), 1, 2, 100, 0.8, 7 * 1.2),
        (failure(after_s=0), 1, 2, 100, 0, 0.5),
        (failure(after_s=MAX_WAIT_S), 1, 2, 100, 0, MAX_WAIT_S),
        (failure(after_s=MAX_WAIT_S + 1), 1, 2, 100, 0, None),
        (failure(after_s=7), 1, 2, 7, 0, None),
        (failure(), 1, 2, 0.4, 0, None),
    ],
)
def test_a_wait_is_never_shorter_than_the_provider_asked_nor_longer_than_the_call_has(
    error: BridgeError, failed: int, retries: int, left_s: float, chance: float, wait_s: float | None
) -> None:
    retry = next_attempt(error, failed, retries, left_s, chance)
    assert (None if retry is None else retry.wait_s) == (None if wait_s is None else pytest.approx(wait_s))
    if retry is not None:
        assert (retry.attempt, retry.attempts) == (failed + 1, retries + 1)


class Refused(Exception):
    def __init__(self, written: str) -> None:
        self.litellm_response_headers = {"retry-after": written}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("", None), ("-1", None), ("soon", None), ("9" * 400, None), ("nan", None), ("1e9", None)],
)
def test_retry_after_in_seconds(written: str, seconds: float | None) -> None:
    assert _retry_after_s(Refused(written)) == seconds


def test_retry_after_as_a_date() -> None:
    assert _retry_after_s(Refused(formatdate(0, usegmt=True))) == 0
    assert _retry_after_s(Refused(formatdate(4_000_000_000, usegmt=True))) > MAX_WAIT_S  # type: ignore[operator]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_passing_refusal_is_told_and_asked_again_within_the_same_call(provider: Any, status: int) -> None:
    async def run() -> None:
        refusal = Reply(status=status, message="busy", headers={"Retry-After": "0.6"})
        async with provider(refusal, Reply(chunks=["at ", "last"])) as (server, service):
            generation, told = service.generation("hi"), []
            generation.on_retry = told.append
            assert [text async for text in generation.texts()] == ["at ", "last"]
            assert len(server.requests) == generation.attempts == 2
            (retry,) = told
            assert (retry.attempt, retry.attempts, retry.error.retryable) == (2, 3, True)
            assert 0.6 <= retry.wait_s < 0.8

    asyncio.run(run())


def test_what_raises_while_it_is_told_of_a_retry_ends_the_answer(provider: Any) -> None:
    async def run() -> None:
        async with provider(Reply(status=503), Reply()) as (server, service):
            generation = service.generation("hi")

            def refuse(retry: Any) -> None:
                raise BridgeError("the budget is used up", code="budget")

            generation.on_retry = refuse
            with pytest.raises(BridgeError, match="used up"):
                [text async for text in generation.texts()]
            assert len(server.requests) == 1

    asyncio.run(run())


def test_after_the_first_text_nothing_is_asked_again(provider: Any) -> None:
    async def run() -> None:
        async with provider(Reply(chunks=["a"], end="reset"), Reply()) as (server, service):
            generation = service.generation("hi")
            with pytest.raises(BridgeError):
                [text async for text in generation.texts()]
            assert (len(server.requests), generation.text) == (1, "a")

    asyncio.run(run())


def test_a_cut_answer_counts_by_its_text_and_at_the_models_price(provider: Any) -> None:
    async def run() -> None:
        async with provider(Reply(chunks=["x" * 400, "y" * 400], end="reset")) as (_, service):
            generation = service.generation("a" * 400, ChatOptions(model="gpt-4o-mini"))
            with pytest.raises(BridgeError):
                [text async for text in generation.texts()]
            assert generation.usage == Usage(104, 200, 0, pytest.approx(104 * 0.15e-6 + 200 * 0.6e-6), estimated=True)

    asyncio.run(run())


def test_an_answer_without_a_word_on_its_usage_still_counts(provider: Any, read: Any) -> None:
    async def run() -> None:
        async with provider(Reply(chunks=["four", "more"], usage=None)) as (_, service):
            usage = (await read(service)).usage
            assert usage.input_tokens > 0 and usage.output_tokens > 0

    asyncio.run(run())


def test_an_unknown_price_stays_unknown() -> None:
    running = RunningUsage([{"role": "user", "content": [{"type": "text", "text": "hi"}]}], lambda asked, said: None)
    running.add("é" * 4)
    assert running.usage.cost_usd is None
    assert running.usage.output_tokens == 2


def test_an_answer_without_end_is_given_up_and_its_connection_closed(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmspell_kernel.services.llm.generation.MAX_CHARS", 100_000)

    async def run() -> None:
        async with provider(Reply(chunks=["x" * 1000, "y" * 1000], end="endless")) as (server, service):
            generation = service.generation("hi")
            with pytest.raises(BridgeError, match="more than 100000 characters") as caught:
                [text async for text in generation.texts()]
            assert (caught.value.code, caught.value.retryable) == ("too_large", False)
            assert len(generation.text) == 100_000
            await asyncio.wait_for(server.left.wait(), 5)

    asyncio.run(run())


@pytest.mark.parametrize("reply", [Reply(chunks=["", " "]), Reply(tool_calls=[{"index": 0, "function": {"arguments": "x" * 1000}}])])
def test_events_and_arguments_without_end_are_given_up_too(provider: Any, monkeypatch: pytest.MonkeyPatch, reply: Reply) -> None:
    monkeypatch.setattr("llmspell_kernel.services.llm.litellm_models.MAX_EVENTS", 2_000)
    monkeypatch.setattr("llmspell_kernel.services.llm.litellm_models.MAX_ARGUMENT_CHARS", 100_000)

    async def run() -> None:
        async with provider(Reply(chunks=reply.chunks, tool_calls=reply.tool_calls, end="endless")) as (_, service):
            with pytest.raises(BridgeError) as caught:
                [text async for text in service.generation("hi").texts()]
            assert caught.value.code == "too_large"

    asyncio.run(run())
