"""What host types are for scripts, and how errors name the place of what cannot cross."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy
import pandas
import polars
import pytest

from llmspell_kernel.bridges._checking import converted
from llmspell_kernel.errors import ArgumentError, ValueCrossingError
from llmspell_kernel.host_types._crossing import to_plain, written
from llmspell_kernel.values import EMPTY_TABLE, dumps, loads

from .things import BOTH_WAYS, ONE_WAY, Person, Row, Table, equal

PLAIN = {**{name: (value, plain) for name, (value, plain, _) in BOTH_WAYS.items()}, **ONE_WAY}


@pytest.mark.parametrize("name", PLAIN)
def test_a_value_has_its_plain_form(name: str) -> None:
    value, expected = PLAIN[name]
    plain, text = written(value)
    assert plain == expected and repr(plain) == repr(expected)  # 1, 1.0 and True are equal in Python
    assert loads(text) == expected


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_the_plain_form_makes_the_value_again(name: str) -> None:
    value, plain, annotation = BOTH_WAYS[name]
    assert equal(converted(loads(dumps(plain)), annotation, "x"), value)


@pytest.mark.parametrize("name", PLAIN)
def test_inside_other_values_it_is_the_same(name: str) -> None:
    value, expected = PLAIN[name]
    assert to_plain({"a": [value, (value,)]}) == {"a": [expected, [expected]]}


def test_plain_values_are_left_as_they_are() -> None:
    value = {"a": [1, None, "x", {"b": 2.5}]}
    assert written(value)[0] is value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (object(), "rows"),
        ([1, [2, 1j]], "rows[1][1]"),
        ({"a": {"b": object()}}, "rows.a.b"),
        ([Row(1, object())], "rows[0].when"),  # type: ignore[arg-type]
        (pandas.DataFrame({"p": [1, pandas.Period("2025-01")]}), "rows[1].p"),
        ([2**64], "rows[0]"),
        ([{"s": "\ud800"}], "rows[0].s"),
        ({"a": {1: 2}}, "rows.a"),
        (polars.DataFrame({"o": [object()]}), "rows[0].o"),
        (numpy.array([1, object()], dtype=object), "rows[1]"),
    ],
)
def test_what_cannot_cross_is_named_by_its_path(value: Any, path: str) -> None:
    with pytest.raises(ValueCrossingError) as caught:
        written(value, "rows")
    assert caught.value.path == path
    assert str(caught.value).endswith(f"(at {path})")


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pandas.DataFrame({1: [1]}), "the column 1 has a name that is not a string"),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), "are called 'a'"),
        (pandas.DataFrame({"a": [1]}, index=pandas.Index([0], name="a")), "are called 'a'"),
    ],
)
def test_a_frames_columns_must_be_different_strings(frame: Any, problem: str) -> None:
    with pytest.raises(ValueCrossingError, match=problem):
        to_plain(frame)


def test_a_value_that_contains_itself_is_an_error_and_no_endless_walk() -> None:
    @dataclass
    class Node:
        next: Any = None

    node = Node()
    node.next = node
    rows: list[Any] = []
    rows.append(rows)
    for value in (node, rows):
        with pytest.raises(ValueCrossingError, match="contains itself"):
            written(value)


def test_subclasses_of_plain_types_cross_as_what_they_are() -> None:
    class Text(str):
        pass

    assert to_plain([OrderedDict(a=Text("x"))]) == [{"a": "x"}]


def test_nan_stays_nan_in_arrays() -> None:
    plain, text = written(numpy.array([float("nan")]))
    assert math.isnan(plain[0]) and math.isnan(loads(text)[0])


def test_whole_and_broken_numbers_are_one_column_and_missing_members_are_gaps() -> None:
    rows = [{"a": 1}, {"a": 2.5, "b": "x"}]
    assert converted(rows, polars.DataFrame, "x").rows() == [(1.0, None), (2.5, "x")]
    assert converted(rows, pandas.DataFrame, "x")["a"].tolist() == [1.0, 2.5]


def test_javascripts_spelling_of_a_field_and_an_empty_lua_table_are_understood() -> None:
    made = converted({"name": "A", "born": "2000-01-01", "friends": EMPTY_TABLE, "shoeSize": 41}, Person, "x")
    assert (made.friends, made.shoe_size) == ([], 41)
    assert converted(EMPTY_TABLE, set[int], "x") == set()
    assert converted(EMPTY_TABLE, pandas.DataFrame, "x").empty
    assert converted({"name": "t", "rows": EMPTY_TABLE}, Table, "x") == Table("t", [])


NO_LIBRARY = """
import sys
from dataclasses import dataclass
from datetime import datetime
from llmspell_kernel.host_types._crossing import written
from llmspell_kernel.session import Session
@dataclass
class Row:
    when: datetime
written([Row(datetime.now()), {1, 2}])
print([name for name in ("numpy", "pandas", "polars", "pydantic") if name in sys.modules])
"""


def test_no_library_is_imported_to_know_its_types() -> None:
    found = subprocess.run([sys.executable, "-c", NO_LIBRARY], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


MISFITS: list[tuple[Any, str, str]] = [
    ("datetime", "soon", "x must be an ISO date and time, such as '2025-01-31T12:00:00+00:00', not 'soon'"),
    ("datetime", 5, "x must be an ISO date and time, such as '2025-01-31T12:00:00+00:00', not a number"),
    ("date", "2025-13-01", "x must be an ISO date, such as '2025-01-31', not '2025-13-01'"),
    ("decimal", "1,5", "x must be a decimal number as text, such as '1.50', not '1,5'"),
    ("decimal", "NaN", "x must be a decimal number as text, such as '1.50', not 'NaN'"),
    ("decimal", 1.5, "x must be a decimal number as text, such as '1.50', not a number"),
    ("uuid", "7", "x must be a UUID as text, not '7'"),
    ("timedelta", "1h", "x must be an ISO duration, such as 'PT1H30M', not '1h'"),
    ("enum of text", "green", "x must be 'red' or 'blue', not 'green'"),
    ("enum of other values", "TRIO", "x must be 'PAIR' or 0.5, not 'TRIO'"),
    ("set", [1, "a"], "x[item 2] must be an integer, not a string"),
    ("data class", {"name": "t", "rows": [{"id": 1, "when": "x"}]}, "x.rows\\[item 1\\].when must be an ISO date and time, .* not 'x'"),
    ("data class", {"name": "t", "row": []}, "x has no key 'row'; did you mean 'rows'"),
    ("typed dict", {"limit": "a"}, "x.limit must be an integer, not a string"),
    ("named tuple", {}, "x needs the key 'x': a number"),
    ("pydantic model", {"name": "A", "born": "?"}, r"x.born does not fit: input should be a valid date"),
    ("pydantic model", {"name": "A", "born": "2000-01-01", "friends": [{"name": 1}]}, r"x.friends\[item 1\].name does not fit"),
    ("pydantic model", [], "x must be an object"),
    ("pydantic model", "a", "x must be an object, not 'a'"),
    ("numpy array", [1, "a"], "x must be a list, or lists of one length"),
    ("numpy array", [[1], [1, 2]], "x must be a list, or lists of one length"),
    ("numpy array", "a", "x must be a list, .* not a string"),
    ("pandas frame", [{"a": 1}, 2], r"x must be a list of objects \(item 2 is not an object\)"),
    ("pandas frame", {"a": 1}, "x must be a list of objects, not an object"),
    ("polars frame", [{"a": 1}, {"a": "b"}], "x must be a list of objects .*several types"),
    ("list of data classes", [{"id": 1}], r"x\[item 1\] needs the key 'when'"),
]


@pytest.mark.parametrize(("name", "value", "message"), MISFITS)
def test_what_does_not_make_the_type_is_told_in_the_words_of_scripts_with_its_place(name: str, value: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        converted(value, BOTH_WAYS[name][2], "x")
    assert caught.value.message == message or re.match(message, caught.value.message), caught.value.message
