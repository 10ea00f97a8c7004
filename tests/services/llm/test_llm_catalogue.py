"""Which model names are accepted, and what is said about the others."""

import time

import pytest

from llmspell_kernel.errors import BridgeError
from llmspell_kernel.services.llm.catalogue import Catalogue, installed_catalogue
from llmspell_kernel.services.llm.providers import PROVIDERS


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return installed_catalogue()


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("gpt-4o", "openai"),
        ("openai/gpt-4o", "openai"),
        ("openai/a-model-of-tomorrow", "openai"),
        ("anthropic/claude-sonnet-4-5", "anthropic"),
        ("ollama_chat/llama3.2", "ollama_chat"),
        ("openrouter/openai/gpt-4o", "openrouter"),
    ],
)
def test_a_name_that_litellm_can_route_is_accepted(catalogue: Catalogue, name: str, provider: str) -> None:
    assert catalogue.provider_of(name) == provider


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("gpt-4oo", "'gpt-4o'"), ("openia/gpt-4o", "'openai/gpt-4o'"), ("spell/ecko", "'spell/echo'"), ("claud-sonnet-4-5", "sonnet-4-5'")],
)
def test_an_unknown_name_is_answered_with_the_nearest_names(catalogue: Catalogue, name: str, nearest: str) -> None:
    with pytest.raises(BridgeError) as caught:
        catalogue.provider_of(name)
    assert caught.value.code == "unknown_model"
    assert not caught.value.retryable
    assert f"unknown model '{name}'" in caught.value.message
    assert nearest in caught.value.message


def test_an_unknown_name_however_long_is_answered_at_once_and_told_in_part(catalogue: Catalogue) -> None:
    started = time.process_time()
    with pytest.raises(BridgeError, match="unknown model 'aaaa") as caught:
        catalogue.provider_of("a" * 15_000_000)
    assert time.process_time() - started < 1 and len(caught.value.message) < 500


@pytest.mark.parametrize("name", ["", "/", "openai/", "zzzz", "zzzz/yyyy", "text-embedding-3-small", "dall-e-3", "sample_spec"])
def test_what_no_model_answers_to_is_unknown(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(BridgeError) as caught:
        catalogue.provider_of(name)
    assert caught.value.code == "unknown_model"


def test_every_example_we_print_is_a_name_that_works(catalogue: Catalogue) -> None:
    for provider in PROVIDERS:
        assert catalogue.provider_of(provider.example) == provider.name
        if provider.keys:
            assert provider.example in catalogue.names
