"""Tokens and prices of texts, beside litellm's own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError, BridgeError, LimitError
from llmspell_kernel.services.llm.price_list import FREE, UNKNOWN, PriceList
from llmspell_kernel.services.llm.service import LlmService

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def counted(prompt: Any, name: str) -> tuple[int, bool, str]:
    return tuple(asyncio.run(LlmService({"LLMSPELL_PRELOAD": "0"}, local_installed=False).token_count(prompt, name)))  # type: ignore[return-value]


def test_models_that_count_words_and_those_that_need_no_library_are_counted_without_it() -> None:
    assert counted("one two  three", "spell/echo") == (3, False, "words")
    assert counted([{"role": "user", "content": "one two"}, {"role": "assistant", "content": "three"}], "spell/scripted") == (
        3,
        False,
        "words",
    )
    assert counted("one two three", "spell/local") == (4 + 4, True, "bytes")


def test_an_openai_model_is_counted_by_its_own_tokenizer_and_others_are_marked_as_guessed() -> None:
    import tiktoken

    text = "The quick brown fox jumps over the lazy dog; größer als 1234567890!"
    for model, encoding in (("openai/gpt-4o-mini", "o200k_base"), ("gpt-4", "cl100k_base")):
        assert counted(text, model) == (len(tiktoken.get_encoding(encoding).encode(text)), False, encoding)
    tokens, estimated, by = counted(text, "anthropic/claude-haiku-4-5")
    assert (tokens, estimated, by) == (len(tiktoken.get_encoding("cl100k_base").encode(text)), True, "cl100k_base")
    messages = [{"role": "user", "content": [{"type": "text", "text": text}, PICTURE]}]
    assert counted(messages, "openai/gpt-4o-mini")[0] > counted(text, "openai/gpt-4o-mini")[0]


def test_the_tokenizers_of_models_that_litellm_would_fetch_are_not_fetched() -> None:
    for model in ("openai/llama-3-70b", "replicate/meta/llama-2-70b-chat", "openai/text-davinci-003", "openai/gpt-oss-120b"):
        tokens, estimated, by = counted("one two three", model)
        assert tokens > 0 and estimated and by == "cl100k_base", model


def test_what_is_too_long_or_no_prompt_is_refused() -> None:
    with pytest.raises(LimitError, match="4,000,001 characters"):
        counted("x" * 4_000_001, "spell/echo")
    with pytest.raises(ArgumentError, match="message 1"):
        counted([{"role": "usr", "content": "x"}], "spell/echo")
    with pytest.raises(BridgeError):
        counted("x", "nobody/model")


@pytest.mark.parametrize("name", ["openai/gpt-4o-mini", "gpt-4o", "gemini/gemini-2.5-pro", "openai/text-embedding-3-small"])
@pytest.mark.parametrize("tokens", [(1_000, 100), (300_000, 2_000)])
def test_prices_are_those_of_litellm_also_of_long_prompts(name: str, tokens: tuple[int, int]) -> None:
    import litellm

    cost = PriceList().cost(name, *tokens)
    wanted = litellm.cost_per_token(model=name, prompt_tokens=tokens[0], completion_tokens=tokens[1])
    assert cost.known and (cost.input_usd, cost.output_usd) == pytest.approx(wanted)


def test_a_price_that_is_not_listed_is_not_known_and_our_own_models_are_free() -> None:
    assert PriceList().cost("openai/one-of-my-own", 1, 1) == UNKNOWN
    assert PriceList().cost("sample_spec", 1, 1) == UNKNOWN
    assert PriceList().cost("spell/echo", 10**9, 1) == FREE
