"""What an environment says about models."""

import pytest

from llmspell_kernel.services.llm.providers import default_model, key_hint, missing_keys


@pytest.mark.parametrize(
    ("environ", "local_installed", "expected"),
    [
        ({}, False, "spell/echo"),
        ({}, True, "spell/local"),
        ({"LLMSPELL_MODEL": "openai/gpt-4o"}, True, "openai/gpt-4o"),
        ({"LLMSPELL_MODEL": " "}, False, "spell/echo"),
        ({"OPENAI_API_KEY": "sk-1"}, False, "spell/echo"),
        ({"OPENAI_API_KEY": "sk-1"}, True, "spell/local"),
    ],
)
def test_the_default_model_follows_the_setting_then_what_is_installed_and_never_a_key(
    environ: dict[str, str], local_installed: bool, expected: str
) -> None:
    assert default_model(environ, local_installed) == expected


def test_a_key_makes_a_hint_that_names_the_variable_and_the_line_but_not_the_key() -> None:
    hint = key_hint({"OPENAI_API_KEY": "sk-1234567"})
    assert hint is not None
    assert "OPENAI_API_KEY" in hint
    assert 'llm.set_model("openai/gpt-4o-mini")' in hint
    assert "sk-1234567" not in hint


def test_without_a_key_there_is_no_hint() -> None:
    assert key_hint({"OPENAI_API_KEY": "", "HOME": "/home/ada"}) is None


def test_any_one_of_a_providers_keys_suffices() -> None:
    assert missing_keys("gemini", {"GOOGLE_API_KEY": "k"}) == ()
    assert missing_keys("gemini", {}) == ("GEMINI_API_KEY", "GOOGLE_API_KEY")


def test_a_provider_without_keys_or_one_we_do_not_know_misses_none() -> None:
    assert missing_keys("ollama_chat", {}) == ()
    assert missing_keys("bedrock", {}) == ()
