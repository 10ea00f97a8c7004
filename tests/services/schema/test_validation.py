"""JSON Schema for what nobody trusts: every place is named, and no schema and no value takes more than it is given."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError, LimitError
from llmspell_kernel.services.schema.defaults import filled
from llmspell_kernel.services.schema.inference import inferred
from llmspell_kernel.services.schema.sizes import MAX_TEXT
from llmspell_kernel.services.schema.validation import MAX_PROBLEMS, MAX_STEPS, TIME_S, UNCOUNTED, Schema

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$"},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def paths(schema: dict[str, Any], value: Any) -> list[str]:
    return [problem.path for problem in Schema(schema).problems(value)]


def test_every_failing_place_is_named() -> None:
    assert paths(PERSON, {"name": "tea", "age": 3}) == []
    assert paths(PERSON, {"name": "TEA", "age": -1, "tags": ["a", "b", "a", 3], "a b": 1}) == [
        "$",
        "$.age",
        "$.name",
        "$.tags",
        "$.tags[3]",
    ]
    assert paths({"properties": {"a b": {"type": "null"}}}, {"a b": 1}) == ['$["a b"]']
    assert "'age' is a required property" in str(Schema(PERSON).problems({"name": "tea"})[0])


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"uniqueItems": True}, [1, 1.0], False),
        ({"uniqueItems": True}, [1, True], True),
        ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], False),
        ({"patternProperties": {"^x": {"type": "string"}}, "additionalProperties": {"type": "number"}}, {"xa": "1", "y": 2}, True),
        ({"patternProperties": {"^x": {"type": "string"}}, "additionalProperties": False}, {"y": 2}, False),
        ({"patternProperties": {"^x": {"type": "string"}}}, {"xa": 1}, False),
        ({"$ref": "#/$defs/word", "$defs": {"word": {"type": "string"}}}, "a", True),
        ({"$ref": "#/$defs/word", "$defs": {"word": {"type": "string"}}}, 1, False),
        ({"additionalProperties": {"type": "number"}}, {"a": "x"}, False),
        ({"pattern": "^a"}, 7, True),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "string"}, 7, False),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"type": "string"}}}, {"a": "x"}, True),
        ({"properties": {"$schema": {"type": "string"}}, "required": ["$schema"]}, {"$schema": "x"}, True),
        ({"properties": {"$schema": {"type": "string"}}, "required": ["$schema"]}, {"$schema": 1}, False),
        ({"const": {"$schema": "http://json-schema.org/draft-07/schema#"}}, {}, False),
        (True, 7, True),
        (False, 7, False),
    ],
)
def test_keywords_with_a_check_of_our_own_mean_what_the_standard_says(schema: Any, value: Any, fits: bool) -> None:
    assert (Schema(schema).problems(value) == []) is fits


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "strin"}, r"\$\.type"),
        ({"pattern": "("}, "pattern"),
        ({"properties": {"a": {"minimum": "1"}}}, r"\$\.properties\.a\.minimum"),
        *(({"allOf": [{keyword: False}]}, "is not supported") for keyword in UNCOUNTED),
        ({"enum": ["x" * 300_000]}, "200,000 bytes"),
    ],
)
def test_what_is_no_schema_is_one_error_that_says_where(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Schema(schema)


@pytest.mark.parametrize("ref", ["http://127.0.0.1:1/schema.json", "file:///etc/passwd", "#/$defs/missing", "other.json"])
def test_a_reference_never_leaves_its_document(ref: str) -> None:
    with pytest.raises(ArgumentError, match="nothing is fetched"):
        Schema({"$ref": ref}).problems(1)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


TWICE = {"$defs": {"t": {"anyOf": [{"items": {"$ref": "#/$defs/t"}}] * 2, "not": {}}}, "$ref": "#/$defs/t"}
MANY = list(range(10_000))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (TWICE, nested(40)),
        ({"items": {"enum": MANY}}, [number + 20_000 for number in MANY]),
        ({"pattern": r"^(\w+\s?)*\1$"}, "a " * 40 + "!"),
        ({"patternProperties": {f"k{number}": {} for number in range(1000)}}, {str(number): 1 for number in MANY}),
        ({"items": {"anyOf": [{"type": "string"}] * 1000}}, [["y" * 10_000]] * 50),
        ({"anyOf": [{"contains": {"title": "x"}}, {"contains": False}] * 50}, [1] * 900_000),
        ({"items": {"title": "x"}}, [1] * 900_000),
        ({"anyOf": [False] * 2_000}, "x" * 1_900_000),
    ],
)
def test_a_schema_that_multiplies_its_work_is_stopped(schema: dict[str, Any], value: Any) -> None:
    checked, started = Schema(schema), time.process_time()
    try:
        found = checked.problems(value)
    except LimitError as error:
        assert error.limit in ("schema_steps", "schema_seconds")
    else:
        assert len(found) <= MAX_PROBLEMS
    assert time.process_time() - started < TIME_S + 1


def test_the_work_of_one_check_is_counted_apart_from_that_of_another_thread() -> None:
    quick, stop = Schema({"type": "integer"}), threading.Event()

    def check_again_and_again() -> None:
        while not stop.is_set():
            quick.problems(1)

    other = threading.Thread(target=check_again_and_again)
    other.start()
    try:
        with pytest.raises(LimitError) as caught:
            Schema({"items": {"allOf": [{"type": "integer"}] * 100}}).problems(list(range(MAX_STEPS // 50)))
        assert caught.value.limit == "schema_steps"
    finally:
        stop.set()
        other.join()


def test_a_schema_without_end_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="without end"):
        Schema({"$ref": "#"}).problems(1)


def test_many_different_things_are_compared_in_one_go() -> None:
    assert Schema({"uniqueItems": True}).problems([{"a": number} for number in range(50_000)]) == []


def test_a_value_too_large_to_check_is_refused() -> None:
    with pytest.raises(ArgumentError, match="2,000,000 bytes"):
        Schema(True).problems("x" * MAX_TEXT)


def test_no_more_problems_are_told_than_one_reads() -> None:
    told = Schema({"items": {"type": "string"}}).problems([["x" * 1000]] * 1000)
    assert len(told) == MAX_PROBLEMS and all(len(problem.message) <= 300 for problem in told)


def test_a_schema_is_inferred_from_what_examples_have_in_common() -> None:
    found = inferred([{"a": 1, "b": "x"}, {"a": 2.5, "c": [1]}])
    assert found["required"] == ["a"] and found["properties"]["a"] == {"type": "number"}
    assert Schema(found).problems({"a": 0}) == [] and paths(found, {"b": 1}) != []


def test_defaults_fill_what_is_left_out_at_any_depth_and_change_nothing_else() -> None:
    schema = {"properties": {"unit": {"default": "C"}, "days": {"items": {"properties": {"rain": {"default": False}}}}}}
    given = {"days": [{}, {"rain": True}]}
    assert filled(given, schema) == {"unit": "C", "days": [{"rain": False}, {"rain": True}]}
    assert given == {"days": [{}, {"rain": True}]}
    assert filled({"unit": "F"}, schema) == {"unit": "F"} and filled(3, schema) == 3 and filled({"a": 1}, True) == {"a": 1}


def test_a_default_that_is_put_in_many_times_is_counted_before_anything_is_written_out() -> None:
    many = [{}] * 100_000
    with pytest.raises(ArgumentError, match="2,000,000 bytes"):
        filled(many, {"items": {"properties": {"a": {"default": "x" * 100_000}}}})
    with pytest.raises(ArgumentError, match="2,000,000 bytes"):
        filled(many, {"items": {"properties": {"k" * 1_000: {"default": None}}}})


def test_properties_are_looked_through_once_for_their_defaults() -> None:
    schema, started = {"items": {"properties": {str(number): {} for number in range(10_000)}}}, time.process_time()
    assert filled([{}] * 100_000, schema) == [{}] * 100_000
    assert time.process_time() - started < 2


def test_examples_too_large_to_look_through_are_refused() -> None:
    with pytest.raises(ArgumentError, match="2,000,000 bytes"):
        inferred(["x" * (MAX_TEXT // 2)] * 2)
