"""What is left of a provider's error text."""

import pytest

from llmspell_kernel.services.llm.catalogue import Catalogue
from llmspell_kernel.services.llm.litellm_errors import MESSAGE_LIMIT, Failure, bridge_error, clean


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("litellm.RateLimitError: RateLimitError: OpenAIException - Slow down", "Slow down"),
        ("Failed\nTraceback (most recent call last):\n  File x", "Failed"),
        ("cannot open /home/ada/.config/key.json now", "cannot open ... now"),
        ("see https://example.com/docs/errors for more", "see https://example.com/docs/errors for more"),
        ("key sk-abcdef is wrong", "key *** is wrong"),
        ("a" * 1000, "a" * MESSAGE_LIMIT + "..."),
        ("", ""),
    ],
)
def test_texts_lose_prefixes_frames_paths_and_secrets(text: str, cleaned: str) -> None:
    assert clean(text, {"SOME_API_KEY": "sk-abcdef", "HOME": "is wrong"}) == cleaned


class APIConnectionError(Exception):
    """Named like the one the client library raises."""


def test_an_unreachable_address_is_found_in_the_chain_of_causes() -> None:
    error = APIConnectionError("odd words")
    error.__cause__ = ConnectionRefusedError(111, "refused")
    mapped = bridge_error(error, Failure("ollama_chat/x", Catalogue({}, frozenset({"ollama_chat"})), {}, started=False))
    assert (mapped.code, mapped.retryable) == ("unreachable", True)
    assert "OLLAMA_API_BASE" in mapped.message


def test_an_exception_nobody_expected_is_still_our_error() -> None:
    mapped = bridge_error(KeyError("choices"), Failure("openai/x", Catalogue({}, frozenset({"openai"})), {}, started=False))
    assert (mapped.code, mapped.retryable) == ("provider", False)
    assert "openai/x" in mapped.message
