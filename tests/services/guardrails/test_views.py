"""What guardrails look at of a call, and what they leave out."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.services.guardrails.views import answered, exchanged, sent

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low@b.io"}}
CALL = {"id": "call_1", "name": "find", "arguments": {"id": "a", "url": "b", "type": "c", "role": "d", "data": ["e"], "name": "f"}}
SCHEMA = {"type": "object", "properties": {"type": {"type": "string", "description": "what"}, "own": {"enum": ["x", "y"]}}}


def upper(view: Any) -> Any:
    return view.with_texts([text.upper() for text in (*view.texts, *view.texts_beside)])


def test_texts_of_messages_are_their_words_and_go_back_where_they_were() -> None:
    prompt = [{"role": "user", "content": [{"type": "text", "text": "a"}, PICTURE]}, {"role": "system", "content": "b"}]
    view = sent(prompt, [{"system": "c", "model": "m"}])
    assert (view.texts, view.texts_beside, view.fixed.names) == (["a", "low@b.io", "b", "c"], [], [])
    (first, second), system = upper(view).said
    assert first["content"][0] == {"type": "text", "text": "A"} and (second["content"], system) == ("B", "C")
    assert first["content"][1]["image_url"] == {"url": "data:image/png;base64,AAAA", "detail": "LOW@B.IO"}
    assert first["role"] == "user"


@pytest.mark.parametrize("call", [CALL, {"id": "call_1", "type": "function", "function": {**CALL, "id": "x"}}])
def test_arguments_of_a_tool_call_are_looked_through_whole_whatever_they_are_called(call: dict[str, Any]) -> None:
    view = sent([{"role": "assistant", "tool_calls": [call]}], [])
    assert set("abcdef") <= set(view.texts) and "call_1" not in view.texts
    assert {"find", "url", "role"} <= set(view.fixed.names)
    again = upper(view).said[0][0]["tool_calls"][0]
    held = again.get("function", again)
    assert held["name"] == "find" and held["arguments"]["url"] == "B" and again["id"] == "call_1"


def test_an_id_is_left_out_only_where_it_looks_like_one() -> None:
    view = sent([{"role": "tool", "tool_call_id": "mail a@b.io", "content": "x"}, {"tool_calls": [{**CALL, "id": "to c@d.io"}]}], [])
    assert {"mail a@b.io", "to c@d.io"} <= set(view.texts)


def test_options_are_looked_through_but_for_the_model_and_stand_beside_what_is_said() -> None:
    tool = {"name": "find", "description": "finds", "parameters": SCHEMA}
    options = {"model": "m", "system": "s", "stop": ["halt"], "tools": [tool], "responseFormat": {"type": "json_schema", "schema": SCHEMA}}
    view = sent("p", [options])
    assert view.texts == ["p", "s"]
    assert view.texts_beside == ["halt", "finds", "what", "x", "y", "what", "x", "y"]
    assert view.fixed.names == ["find", "own", "own"]
    changed = upper(view)
    assert changed.said == ["P", "S"]
    assert changed.beside[0]["tools"][0] == {
        "name": "find",
        "description": "FINDS",
        "parameters": {"type": "object", "properties": {"type": {"type": "string", "description": "WHAT"}, "own": {"enum": ["X", "Y"]}}},
    }


def test_every_table_of_options_is_looked_through() -> None:
    view = sent("p", [{"system": "one"}, {"system": "two"}])
    assert view.texts == ["p", "one", "two"]


def test_an_answers_tool_calls_stand_beside_its_text() -> None:
    view = answered("t", [CALL])
    assert (view.said, view.texts) == ("t", ["t"])
    assert view.texts_beside == list("abcdef")
    assert "find" in view.fixed.names
    assert answered("t", []).beside is None


def test_what_tools_are_given_is_looked_through_whole() -> None:
    view = exchanged({"id": "a", "x": [{"url": "b"}]})
    assert (view.texts, list(view.fixed.names)) == (["a", "b"], ["id", "x", "url"])
