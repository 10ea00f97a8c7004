"""What crosses the border and how it is written: the value table both ways, and whatever a hostile worker writes."""

from __future__ import annotations

import enum
import json
import math
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell_kernel.errors import ValueCrossingError
from llmspell_kernel.values import (
    EMPTY_TABLE,
    INT_MAX,
    INT_MIN,
    MANY_ITEMS,
    MAX_DEPTH,
    SAFE_INT,
    Callback,
    Opaque,
    ResourceRef,
    Value,
    counted_bytes,
    dumps,
    first_reference,
    loads,
    resolve_empty,
)


class Level(enum.IntEnum):
    HIGH = 3


class Colour(enum.StrEnum):
    RED = "red"


ROWS: list[tuple[Value, str]] = [
    (None, "null"),
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (-5, "-5"),
    (SAFE_INT, "9007199254740991"),
    (-SAFE_INT, "-9007199254740991"),
    (SAFE_INT + 1, '{"$":["i","9007199254740992"]}'),
    (INT_MAX, '{"$":["i","9223372036854775807"]}'),
    (INT_MIN, '{"$":["i","-9223372036854775808"]}'),
    (1.0, "1.0"),
    (0.1, "0.1"),
    (-0.0, "-0.0"),
    (math.inf, '{"$":["n","inf"]}'),
    (-math.inf, '{"$":["n","-inf"]}'),
    ("", '""'),
    ("a\0b", '"a\\u0000b"'),
    ("é😀\u2028", '"é😀\u2028"'),
    (b"", '{"$":["b",""]}'),
    (b"\xff\0", '{"$":["b","/wA="]}'),
    ([], "[]"),
    ([1, None, [2.5]], "[1,null,[2.5]]"),
    ({}, "{}"),
    ({"a": {"b": [1]}}, '{"a":{"b":[1]}}'),
    (Callback(4), '{"$":["f",4]}'),
    (ResourceRef(2, "llm.stream"), '{"$":["r",2,"llm.stream"]}'),
    (Opaque("function: f"), '{"$":["x","function: f"]}'),
    ({"$": 1}, '{"$":["o",{"$":1}]}'),
    ({"$": ["b", "AAE="]}, '{"$":["o",{"$":["b","AAE="]}]}'),
    ({"$": {"$": None}, "b": 1}, '{"$":["o",{"$":{"$":["o",{"$":null}]},"b":1}]}'),
    ([{"a": {"$": "e"}}], '[{"a":{"$":["o",{"$":"e"}]}}]'),
]


@pytest.mark.parametrize(("value", "text"), ROWS, ids=lambda part: repr(part)[:40])
def test_each_row_of_the_table_is_written_and_read_as_it_stands(value: Value, text: str) -> None:
    assert dumps(value) == text.encode()
    back = loads(text.encode())
    assert back == value
    assert type(back) is type(value)


def test_nan_crosses_both_ways() -> None:
    assert dumps(math.nan) == b'{"$":["n","nan"]}'
    assert math.isnan(loads(dumps(math.nan)))


def test_an_undecided_empty_table_is_an_object_unless_the_reader_decides() -> None:
    assert dumps(EMPTY_TABLE) == b'{"$":["e"]}'
    assert loads(b'[{"$":["e"]}]') == [{}]
    assert loads(b'[{"a":{"$":["e"]}}]', empty_as_object=False) == [{"a": EMPTY_TABLE}]
    assert resolve_empty({"a": [EMPTY_TABLE, (1, 2)], "b": 1}) == {"a": [{}, (1, 2)], "b": 1}


def test_an_engines_double_beyond_64_bits_is_a_float() -> None:
    assert loads(b"9223372036854775808") == 2.0**63
    assert type(loads(b"-9223372036854775809")) is float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Level.HIGH, b"3"),
        (Colour.RED, b'"red"'),
        ((1, 2), b"[1,2]"),
        (OrderedDict(b=1, a=2), b'{"b":1,"a":2}'),
        ({Colour.RED: 1}, b'{"red":1}'),
        (bytearray(b"ab"), b'{"$":["b","YWI="]}'),
        (memoryview(b"ab"), b'{"$":["b","YWI="]}'),
        (type("Length", (float,), {})(2.5), b"2.5"),
    ],
)
def test_kinds_near_the_table_cross_as_what_they_are(value: Any, text: bytes) -> None:
    assert dumps(value) == text


class Shape(str, enum.Enum):  # noqa: UP042  the kind whose str() is not its text
    ROUND = "round"


def test_a_string_that_is_an_enum_member_crosses_as_its_text() -> None:
    assert dumps(Shape.ROUND) == b'"round"'


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(INT_MIN, INT_MAX)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.binary(max_size=12)
    | st.builds(Callback, st.integers(0, 2**53 - 1))
    | st.builds(ResourceRef, st.integers(0, 2**53 - 1), st.text("abc.", max_size=5))
    | st.builds(Opaque, st.text("abc", max_size=5))
    | st.just(EMPTY_TABLE)
)
KEYS = st.sampled_from(["$", "$$", "a", "", "é"]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20)


def typed(value: Value) -> Any:
    """The value with every type beside it, so that 1, 1.0 and True, or 0.0 and -0.0, are not the same."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return (type(value).__name__, repr(value))


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_every_value_comes_back_as_it_was_with_its_types(value: Value) -> None:
    assert typed(loads(dumps(value), empty_as_object=False)) == typed(value)


def test_data_of_a_script_is_never_taken_for_a_tag_at_any_depth() -> None:
    value: Value = {"$": ["r", 1, "llm.stream"]}
    for _ in range(10):
        value = {"$": [value], "x": value["$"]}
    assert loads(dumps(value)) == value


# ------------------------------------------------------------------------------------------------------------ what cannot cross


@pytest.mark.parametrize(
    ("value", "why", "path"),
    [
        ({"rows": [1, {"when": object()}]}, "a Python builtins.object cannot be given", "value.rows[1].when"),
        ([1, {2}], "a Python builtins.set cannot be given", "value[1]"),
        ({"a": {1: 2}}, "the key 1 is not a string", "value.a"),
        ([2**63], "does not fit in 64 bits", "value[0]"),
        (-(2**63) - 1, "does not fit in 64 bits", "value"),
        ({"s": "a\ud800"}, "lone surrogate", "value.s"),
        ({"k": {"\udfff": 1}}, "lone surrogate", "value.k"),
        (1j, "a Python builtins.complex cannot be given", "value"),
    ],
)
def test_what_cannot_cross_is_an_error_naming_its_path(value: Any, why: str, path: str) -> None:
    with pytest.raises(ValueCrossingError, match=why) as caught:
        dumps(value)
    assert caught.value.path == path
    assert str(caught.value).endswith(f"(at {path})")


def nested(depth: int) -> Value:
    value: Value = 1
    for _ in range(depth):
        value = [value]
    return value


def test_the_depth_limit_passes_and_one_more_does_not() -> None:
    assert loads(dumps(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(ValueCrossingError, match="deeper than 64"):
        dumps(nested(MAX_DEPTH + 1))
    with pytest.raises(ValueCrossingError, match="deeper than 64"):
        loads(json.dumps(nested(MAX_DEPTH + 1)).encode())


def test_what_contains_itself_is_an_error_however_often_it_does() -> None:
    rows: list[Any] = [1]
    rows += [rows, rows, rows]
    row: dict[str, Any] = {}
    row["self"] = row
    for value in (rows, row):
        with pytest.raises(ValueCrossingError, match="or contains itself"):
            dumps(value)


# ------------------------------------------------------------------------------------------------------------ hostile text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"1 2",
        b"[1,",
        b"nul",
        b"NaN",
        b"Infinity",
        b"1e400",
        b"9" * 5_000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 65 + b"]" * 65,
        b'"\\ud800"',
        b'"\\udc00x"',
        b'"\xff"',
        b'{"\xff":1}',
        b'"a\x00b"',
        b'{"$":1}',
        b'{"$":null}',
        b'{"$":"b"}',
        b'{"$":[]}',
        b'{"$":["zz"]}',
        b'{"$":[1]}',
        b'{"$":["e",1]}',
        b'{"$":["e"],"a":1}',
        b'{"a":1,"$":["b","AAE="]}',
        b'{"$":["b"]}',
        b'{"$":["b",1]}',
        b'{"$":["b","A"]}',
        b'{"$":["b","AA"]}',
        b'{"$":["b","A A="]}',
        b'{"$":["b","\xc3\xa9"]}',
        b'{"$":["i",5]}',
        b'{"$":["i",""]}',
        b'{"$":["i","-"]}',
        b'{"$":["i","--5"]}',
        b'{"$":["i","+5"]}',
        b'{"$":["i","1_0"]}',
        b'{"$":["i"," 1"]}',
        b'{"$":["i","0x1f"]}',
        b'{"$":["i","\xd9\xa1"]}',
        b'{"$":["i","9223372036854775808"]}',
        b'{"$":["i","' + b"9" * 5_000 + b'"]}',
        b'{"$":["n","Infinity"]}',
        b'{"$":["n",1]}',
        b'{"$":["f"]}',
        b'{"$":["f",true]}',
        b'{"$":["f",1.0]}',
        b'{"$":["f","1"]}',
        b'{"$":["r",1]}',
        b'{"$":["r",false,"llm.stream"]}',
        b'{"$":["r",1,2]}',
        b'{"$":["r",1,"a","b"]}',
        b'{"$":["x",1]}',
        b'{"$":["o",{}]}',
        b'{"$":["o",{"a":1}]}',
        b'{"$":["o",[1]]}',
        b'{"$":["o",{"$":1}],"b":2}',
        b'[[{"a":{"$":["o",{"$":{"$":["zz"]}}]}}]]',
    ],
    ids=lambda text: repr(text[:30]),
)
def test_malformed_text_is_a_value_error_and_nothing_else(text: bytes) -> None:
    with pytest.raises(ValueCrossingError):
        loads(text)


@pytest.mark.parametrize("text", [b"1" * 400, b"-" + b"9" * 400, b'{"a":[' + b"7" * 350 + b"]}"], ids=lambda text: repr(text[:12]))
def test_an_integer_beyond_every_double_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueCrossingError):
        loads(text)


TAGGED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.sampled_from("bifnrxoe"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["$", "a"]), inner, max_size=2),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(TAGGED)
def test_text_full_of_tags_is_a_value_or_a_value_error(wire: Any) -> None:
    check_loads(json.dumps(wire).encode())


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60) | st.text('[]{}"$:,bifnrxoe0123-.\\u', max_size=40).map(str.encode))
def test_random_text_is_a_value_or_a_value_error(text: bytes) -> None:
    check_loads(text)


def check_loads(text: bytes) -> None:
    try:
        value = loads(text, empty_as_object=False)
    except ValueCrossingError:
        return
    assert typed(loads(dumps(value), empty_as_object=False)) == typed(value)


def test_more_items_than_the_limit_are_refused_before_they_are_made_and_commas_in_a_string_are_no_items() -> None:
    with pytest.raises(ValueCrossingError, match="more than 1000000 items"):
        loads(b"[" + b"[]," * 1_000_000 + b"[]]")
    with pytest.raises(ValueCrossingError, match="more than 1000000 items"):
        loads(b"[" + b'"",' * 5_000_000 + b"[]]")
    text = ',[{"\\' * 500_000
    assert loads(dumps([text, "x"])) == [text, "x"]
    assert len(loads(b"[" + b"1," * 900_000 + b"1]")) == 900_001


LIMIT = 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        (b"[" + b'{"a":1},' * 99_999 + b'{"a":1}]', 20 + 100_000 * (50 + 8 + 6) - 8),
        (b"[" + b"[]," * 99_999 + b"[]]", 20 + 100_000 * (20 + 8) - 8),
        (b"[" + b"1," * 99_999 + b"1]", 20 + 100_000 * 8 - 8),
        (b'["' + b"x" * 10_000_000 + b'"]', 10_000_004),
        (dumps([json.dumps([{"a": "\\", "b": [1, 2]}] * 100_000)]), 3_400_004),
    ],
    ids=["objects", "lists", "numbers", "text", "JSON in a string"],
)
def test_a_value_counts_as_its_text_or_as_what_it_holds_where_that_is_more(text: bytes, counted: int) -> None:
    assert counted_bytes(text, LIMIT) == pytest.approx(counted, rel=0.01)


def test_marks_and_quotes_inside_strings_count_nothing_wherever_a_text_is_taken_apart() -> None:
    value = [f'{number}"\\' + '{[,"\\' * (number % 7) for number in range(30_000)]
    held = 20 + len(value) * (8 + 6) - 8
    text = dumps(value)
    assert counted_bytes(text, LIMIT) == max(len(text), held)


def test_counting_ends_soon_after_the_limit() -> None:
    text = b"[" + b'"",' * 5_000_000 + b'""]'
    assert LIMIT < counted_bytes(text, LIMIT) < 2 * LIMIT


def test_a_long_list_without_undecided_tables_is_not_copied_and_one_that_holds_one_is() -> None:
    rows: Value = [{"a": [1]}] * (MANY_ITEMS + 1)
    assert resolve_empty(rows) is rows
    assert resolve_empty([*rows, {"a": EMPTY_TABLE}]) == [*rows, {"a": {}}]


def test_the_first_function_or_thing_of_the_host_is_found_with_its_place_and_its_kind() -> None:
    value = {"a": [1, Callback(1)], "b": ResourceRef(7, "stream")}
    assert first_reference(value, "$") == ("$.a[1]", Callback(1))
    assert first_reference(value, "$", (ResourceRef,)) == ("$.b", ResourceRef(7, "stream"))
    assert first_reference({"a": [1, "x", None, {}]}, "$") is None
