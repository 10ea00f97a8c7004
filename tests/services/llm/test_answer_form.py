"""The form that a script asks an answer in: JSON, by a schema or without one, and nothing else that a provider would take."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services.llm.answer_form import answer_form
from llmspell_kernel.services.llm.models import ChatOptions
from llmspell_kernel.services.llm.service import LlmService

SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [("json", {"type": "json_object"}), ("text", {"type": "text"}), ({"type": "json_object"}, {"type": "json_object"}), (SCHEMA, SCHEMA)],
)
def test_a_form_of_json_is_sent(given: Any, sent: dict[str, Any]) -> None:
    assert answer_form(given) == sent


WRONG = [
    "jsno",
    "json_schema",
    {},
    {"type": "web_search"},
    {"type": ["text"]},
    {**SCHEMA, "server_url": "x"},
    {**SCHEMA, "json_schema": "x"},
]


@pytest.mark.parametrize("given", WRONG)
def test_any_other_is_refused_before_anything_is_asked(given: Any) -> None:
    with pytest.raises(ArgumentError, match="^response_format "):
        LlmService({}, local_installed=False).generation("x", ChatOptions("spell/echo", response_format=given))


def test_a_tool_that_the_provider_would_run_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(ArgumentError, match="tool 1 has the type 'web_search'"):
        LlmService({}, local_installed=False).generation("x", ChatOptions("spell/echo", tools=[{"type": "web_search"}]))
