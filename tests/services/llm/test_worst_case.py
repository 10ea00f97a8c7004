"""What a call may use at the most is never less than what it can use."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.services.llm.catalogue import Catalogue, installed_catalogue
from llmspell_kernel.services.llm.messages import messages_of
from llmspell_kernel.services.llm.models import ChatOptions, Request
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.services.llm.worst_case import FREE, IMAGE_TOKENS, UNTOLD_OUTPUT_TOKENS, ModelFacts, worst_case

FACTS = ModelFacts(input_usd=2e-6, output_usd=8e-6, request_usd=0.01, max_input_tokens=1_000, max_output_tokens=500)


def request(prompt: Any = "hello", model: str = "m", **options: Any) -> Request:
    return Request(model, messages_of(prompt, options.get("system")), ChatOptions(**options))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return installed_catalogue()


@pytest.mark.parametrize(
    "text", ["hello world", "日本語のテキスト", "🙂🙃" * 20, "a" * 300, "\u0301" * 50, "0x7f3a9c" * 20, "!@#$%^&*()" * 20, "\ud800"]
)
def test_no_text_has_more_tokens_than_are_reserved_for_it(text: str) -> None:
    """A token stands for one byte at the least."""
    assert worst_case(request(text), FREE, is_priced=True).input_tokens >= len(text.encode("utf-8", "replace"))


def test_system_text_tools_tool_calls_and_schema_count() -> None:
    bare = worst_case(request(), FREE, is_priced=True).input_tokens
    tool = {"name": "t", "description": "d" * 100, "parameters": {"type": "object"}}
    calls = [
        {"role": "assistant", "tool_calls": [{"id": "1", "name": "t", "arguments": {"a": "b" * 100}}]},
        {"role": "user", "content": "hello"},
    ]
    for larger in (
        request(system="s" * 100),
        request(tools=[tool]),
        request(response_format={"type": "json_schema", "json_schema": {"name": "n" * 100}}),
        request(calls),
    ):
        assert worst_case(larger, FREE, is_priced=True).input_tokens >= bare + 100


def test_a_picture_counts_as_the_dearest_reading_of_it_however_short_its_address() -> None:
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    assert worst_case(request([{"role": "user", "content": parts}]), FREE, is_priced=True).input_tokens > IMAGE_TOKENS


def test_the_answer_is_as_long_as_the_call_says_else_as_the_model_can_else_as_is_assumed() -> None:
    assert worst_case(request(max_tokens=7), FACTS, is_priced=True).output_tokens == 7
    assert worst_case(request(), FACTS, is_priced=True).output_tokens == 500
    assert worst_case(request(), FREE, is_priced=True).output_tokens == UNTOLD_OUTPUT_TOKENS


def test_a_question_longer_than_the_model_takes_costs_no_more_than_the_longest_it_takes() -> None:
    assert worst_case(request("x" * 100_000), FACTS, is_priced=True).input_tokens == 1_000


def test_the_cost_is_that_of_request_question_and_answer() -> None:
    most = worst_case(request("x" * 84, max_tokens=10), FACTS, is_priced=True)
    assert most == (100, 10, pytest.approx(0.01 + 100 * 2e-6 + 10 * 8e-6))
    assert worst_case(request(), FACTS, is_priced=False).cost_usd is None


@pytest.mark.parametrize("name", ["gpt-4o-mini", "openai/gpt-4o-mini"])
def test_a_model_has_its_price_with_and_without_its_provider_in_front(catalogue: Catalogue, name: str) -> None:
    facts = catalogue.facts_of(name)
    assert facts is not None and 0 < facts.input_usd < facts.output_usd < 1e-4
    assert facts.max_output_tokens > 1_000


@pytest.mark.parametrize("name", ["azure_ai/gpt-4o-mini-of-my-own", "anthropic/gpt-4o-mini", "ollama_chat/llama-of-my-own", "no-such", ""])
def test_a_name_that_is_not_listed_has_no_price(catalogue: Catalogue, name: str) -> None:
    assert catalogue.facts_of(name) is None


def test_the_price_of_a_model_with_tiers_is_its_highest(catalogue: Catalogue) -> None:
    tiered = catalogue.facts_of("gemini/gemini-2.5-pro")
    assert tiered is not None and tiered.input_usd == pytest.approx(2.5e-6) and tiered.output_usd == pytest.approx(1.5e-5)


def test_every_listed_price_is_a_number_that_can_be_reserved(catalogue: Catalogue) -> None:
    priced = [facts for name in catalogue.models if (facts := catalogue.facts_of(name)) is not None]
    assert len(priced) > 2_000
    assert all(0 <= price < 1 for facts in priced for price in (facts.input_usd, facts.output_usd, facts.request_usd))


@pytest.mark.parametrize("name", ["spell/echo", "spell/local", "spell/scripted"])
def test_our_own_models_are_free_and_read_no_list(name: str) -> None:
    def unread() -> Catalogue:
        raise AssertionError("the list of prices was read")

    service = LlmService({}, local_installed=False, catalogue=unread)
    assert service.worst_case(request(model=name)).cost_usd == 0.0
