"""From prompts to messages."""

from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services.llm.messages import messages_of, tools_of


def test_a_text_is_one_user_message_behind_the_system_text() -> None:
    assert messages_of("hi", None) == [{"role": "user", "content": "hi"}]
    assert messages_of("hi", "be brief") == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]


def test_tool_calls_and_their_results_go_back_in_the_form_providers_take() -> None:
    prompt = [
        {"role": "user", "content": "2+3?"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "name": "add", "arguments": {"a": 2, "b": 3}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "5"},
    ]
    assert messages_of(prompt, None)[1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":2,"b":3}'}}],
        },
        {"role": "tool", "content": "5", "tool_call_id": "c1"},
    ]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ([], "no messages"),
        (["hi"], "message 1 must be a table"),
        ([{"role": "user", "content": "a"}, {"role": "usr", "content": "b"}], "message 2 has the role 'usr'; expected one of system"),
        ([{"content": "a"}], "message 1 has the role None"),
        ([{"role": "user"}], "content of message 1 must be a text, or a list of parts with a type, not nothing"),
        ([{"role": "user", "content": 3}], "not a number"),
        ([{"role": "user", "content": [1]}], "not a list"),
        ([{"role": "user", "contnt": "a"}], "unknown key 'contnt'; did you mean 'content'?"),
        ([{"role": "tool", "content": "5"}], "needs tool_call_id"),
        ([{"role": "assistant", "tool_calls": [{"name": "x"}]}], "needs an id and a name"),
        ([{"role": "assistant", "tool_calls": [3]}], "must be a table {id, name, arguments}, not a number"),
    ],
)
def test_a_wrong_message_is_named_with_what_was_expected(prompt: list[Any], words: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        messages_of(prompt, None)
    assert words in caught.value.message


def test_a_short_tool_is_widened_and_a_full_one_kept() -> None:
    short = {"name": "add", "description": "adds", "parameters": {"type": "object"}}
    full = {"type": "function", "function": {"name": "f"}}
    assert tools_of([short, full]) == [{"type": "function", "function": short}, full]


FUNCTION = {"name": "f"}


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ({}, "tool 1 needs a name"),
        ({"name": "f", "parameters": "x"}, "must be a JSON schema table, not a text"),
        ({"type": "function"}, "tool 1 of the type 'function' needs a table 'function'"),
        ({"type": "function", "function": {}}, "tool 1 needs a name"),
        ({"type": "function", "function": {**FUNCTION, "parameters": 1}}, "must be a JSON schema table, not a number"),
        ({"type": "function", "function": {**FUNCTION, "server_url": "x"}}, "tool 1 has an unknown key 'server_url'"),
        ({"type": "function", "function": FUNCTION, "googleSearch": {}}, "tool 1 has an unknown key 'googleSearch'"),
        ({"type": "function", "googleSearch": {}}, "tool 1 has an unknown key 'googleSearch'"),
        ({"type": "web_search"}, "tool 1 has the type 'web_search'; scripts give only functions, which they run themselves"),
        ({"type": "mcp", "server_url": "https://x.example"}, "tool 1 has the type 'mcp'"),
        ({"type": ["function"]}, "tool 1 has the type ['function']"),
        ({"type": None, "function": FUNCTION}, "tool 1 has the type None"),
    ],
)
def test_a_wrong_tool_is_named(tool: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        tools_of([tool])
    assert words in caught.value.message
