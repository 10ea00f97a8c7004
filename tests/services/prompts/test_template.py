"""Templates: what is put in, what is told, and how much may come of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError, LimitError, ScriptError
from llmspell_kernel.services.prompts.library import MAX_TEMPLATES, Library
from llmspell_kernel.services.prompts.template import MAX_EXAMPLES, MAX_PLACES, MAX_RENDERED_CHARS, Template, template_of


def made(source: Any, *, defaults: dict[str, Any] | None = None, examples: list[dict[str, Any]] | None = None) -> Template:
    return template_of(source, defaults or {}, examples or [])


@pytest.mark.parametrize(
    ("source", "values", "rendered"),
    [
        ("Hi {{name}}!", {"name": "Ann"}, "Hi Ann!"),
        ("Hi {{ name }}!", {"name": "Ann"}, "Hi Ann!"),
        ("Hi {{name|you}}!", {}, "Hi you!"),
        ("Hi {{name|}}!", {}, "Hi !"),
        ("Hi {{name|two words}}!", {"name": None}, "Hi two words!"),
        ("{{a}}{{a}}{{b}}", {"a": 1, "b": 1.5}, "111.5"),
        ("{{a}}", {"a": True}, "true"),
        ("{{a}}", {"a": {"k": [1, "é"]}}, '{"k":[1,"é"]}'),
        ('{"a": {"b": 1}} {{x y}} {{{n}}} {{}} {{1a}}', {"n": "!"}, '{"a": {"b": 1}} {{x y}} {!} {{}} {{1a}}'),
        ("no places", {"other": 1}, "no places"),
        ("", {}, ""),
    ],
)
def test_places_are_filled_and_everything_else_is_text(source: str, values: dict[str, Any], rendered: str) -> None:
    assert made(source).render(values) == rendered


def test_a_value_is_never_read_as_a_template() -> None:
    assert made("{{a}} {{b}}").render({"a": "{{b}} {{secret|x}}", "b": "{{a}}"}) == "{{b}} {{secret|x}} {{a}}"


def test_every_missing_value_is_named_with_the_nearest_that_was_given() -> None:
    with pytest.raises(ScriptError) as raised:
        made("{{city}} {{country}} {{city}} {{when|now}}").render({"citty": 1, "other": 2})
    assert raised.value.code == "missing_variables"
    assert raised.value.message == "no value for 'city', 'country'; for 'city' there is 'citty'"
    with pytest.raises(ScriptError, match="no values were given"):
        made("{{city}}").render({})


def test_messages_and_their_parts_are_filled() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA{{a}}"}}
    template = made(
        [{"role": "system", "content": "Be {{how|brief}}."}, {"role": "user", "content": [{"type": "text", "text": "{{a}}?"}, picture]}]
    )
    assert template.variables() == ["how", "a"]
    assert template.render({"a": "What"}) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What?"}, picture]},
    ]


def test_examples_stand_before_the_last_message_and_take_the_values_of_the_call() -> None:
    template = made(
        [{"role": "system", "content": "s"}, {"role": "user", "content": "{{word}} in {{language}}"}],
        examples=[{"user": {"word": "cat"}, "assistant": "chat {{word}}"}, {"user": "plain {{word}}", "assistant": "yes"}],
    )
    assert template.render({"word": "dog", "language": "French"}) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "cat in French"},
        {"role": "assistant", "content": "chat {{word}}"},
        {"role": "user", "content": "plain {{word}}"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "dog in French"},
    ]
    assert len(made("{{a}}", examples=[{"user": "u", "assistant": "a"}]).render({"a": 1})) == 3


def test_a_partial_template_keeps_its_values_and_the_other_stays() -> None:
    whole = made("{{a}} {{b}}")
    part = whole.partial({"a": "x"})
    assert part.render({"b": "y"}) == "x y"
    assert part.render({"a": "z", "b": "y"}) == "z y"
    with pytest.raises(ScriptError, match="'a'"):
        whole.render({"b": 1})


@pytest.mark.parametrize(
    ("source", "examples", "words"),
    [
        (7, [], "a text, or a list of messages"),
        ([], [], "not empty"),
        ([{"content": "x"}], [], "message 1 of the template"),
        ("x", [{"user": "u"}], r"example 1 must be \{user, assistant\}"),
        ("x", [{"user": "u", "assistant": "a", "asistant": "b"}], "did you mean 'assistant'"),
    ],
)
def test_what_is_no_template_is_told(source: Any, examples: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        made(source, examples=examples)
    with pytest.raises(ArgumentError, match="the value of 'a' must be a text"):
        made("{{a}}").render({"a": b"\xff"})


def test_a_short_template_cannot_multiply_a_long_value() -> None:
    template = made("{{a}}" * 5_000)
    assert len(template.render({"a": "x" * 790})) == 3_950_000
    started = time.process_time()
    with pytest.raises(LimitError, match="more than 4,000,000 characters") as raised:
        template.render({"a": "x" * 1_000_000})
    assert raised.value.limit == "prompt_chars" and raised.value.value == MAX_RENDERED_CHARS
    assert time.process_time() - started < 1
    with pytest.raises(LimitError, match="4,000,000"):
        made("{{a}}" * 200, examples=[{"user": {"b": 1}, "assistant": "x"}] * 200).render({"a": "x" * 1_000})


@pytest.mark.parametrize(
    ("source", "examples", "words"),
    [
        ("x" * 1_000_001, [], "1,000,001 characters"),
        ("{{a}}" * (MAX_PLACES + 1), [], "places to fill"),
        ("x", [{"user": "u", "assistant": "a"}] * (MAX_EXAMPLES + 1), "201 examples"),
        ("{{q}}", [{"user": {"q": "x" * 500_000}, "assistant": "a"}] * 2, "1,000,0[0-9]+ characters"),
        ("{{q}}", [{"user": {"q": ["x" * 1_000_000]}, "assistant": "a"}], "1,000,0[0-9]+ characters"),
    ],
)
def test_a_template_that_is_too_large_is_refused(source: str, examples: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(LimitError, match=words):
        made(source, examples=examples)


@pytest.mark.parametrize("piece", ["{", "{{", "{{a", "{{a|", "{{ ", "{{a |b", "}}{{"])
def test_places_that_never_end_take_no_time(piece: str) -> None:
    source = piece * (900_000 // len(piece))
    started = time.process_time()
    template = made(source)
    assert template.render({"a": ""}) == source
    assert time.process_time() - started < 3


def test_the_newest_version_is_the_highest_number_and_names_are_told() -> None:
    library = Library()
    for version in ("1", "10", "9", "2.1"):
        library.keep(template_of(version, {}, (), "greeting", version))
    assert library.get("greeting").source == "10"
    assert library.get("greeting", "2.1").source == "2.1"
    assert [entry["version"] for entry in library.list()] == ["1", "2.1", "9", "10"]
    with pytest.raises(ScriptError, match="did you mean 'greeting'") as raised:
        library.get("greting")
    assert raised.value.code == "unknown_prompt"
    with pytest.raises(ScriptError, match="has no version '3'"):
        library.get("greeting", "3")


def test_the_library_holds_so_many_templates_and_replaces_one_of_the_same_version() -> None:
    library = Library()
    for number in range(MAX_TEMPLATES):
        library.keep(template_of("x", {}, (), f"p{number}", "1"))
    library.keep(template_of("y", {}, (), "p1", "1"))
    assert library.get("p1").source == "y"
    with pytest.raises(LimitError, match="at most 1,000 named templates") as raised:
        library.keep(template_of("x", {}, (), "one more", "1"))
    assert (raised.value.limit, raised.value.value, raised.value.used) == ("templates", MAX_TEMPLATES, MAX_TEMPLATES + 1)


def test_the_library_holds_so_many_characters_also_of_examples_that_are_values() -> None:
    library = Library()
    examples = [{"user": {"q": "x" * 999_000}, "assistant": "a"}]
    for number in range(16):
        library.keep(template_of("{{q}}", {}, examples, f"p{number}", "1"))
    with pytest.raises(LimitError, match="at most 16,000,000 are kept") as raised:
        library.keep(template_of("{{q}}", {}, examples, "p17", "1"))
    assert (raised.value.limit, raised.value.value) == ("templates_chars", 16_000_000) and raised.value.used > 16_900_000
    assert not library.has("p17", "1")
