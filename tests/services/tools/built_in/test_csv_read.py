"""The tool `csv_read`."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.errors import LimitError, ScriptError

from .using import Answers, problems, use

CITIES = 'city,people,post,rain\nLyon,520000,01234,\nNice,340000,06000,1.5\n"Aix, en Provence",145000,13090,-2e1\n'


def test_rows_are_objects_and_columns_of_numbers_are_numbers() -> None:
    assert use("csv_read", text=CITIES) == {
        "columns": ["city", "people", "post", "rain"],
        "rows": [
            {"city": "Lyon", "people": 520000, "post": "01234", "rain": None},
            {"city": "Nice", "people": 340000, "post": "06000", "rain": 1.5},
            {"city": "Aix, en Provence", "people": 145000, "post": "13090", "rain": -20.0},
        ],
        "truncated": False,
    }


def test_a_file_is_read_through_storage() -> None:
    answers = Answers(storage_read=lambda path: CITIES)
    assert len(use("csv_read", answers, path="data/cities.csv")["rows"]) == 3
    assert answers.asked == [("storage", "read", "data/cities.csv")]


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(ScriptError) as caught:
        use("csv_read", Answers(storage_read=lambda path: b"\xff\x00"), path="x.csv")
    assert caught.value.code == "not_text"


def test_the_most_rows_are_given_and_that_there_were_more_is_told() -> None:
    found = use("csv_read", text=CITIES, max_rows=2)
    assert [row["city"] for row in found["rows"]] == ["Lyon", "Nice"] and found["truncated"]
    assert not use("csv_read", text=CITIES, max_rows=3)["truncated"]


@pytest.mark.parametrize(
    ("text", "options", "columns", "rows"),
    [
        ("1;x\n2;y\n", {"header": False, "delimiter": ";"}, ["column1", "column2"], [[1, "x"], [2, "y"]]),
        ("a,a,,a_2\n1,2,3,4\n", {}, ["a", "a_2", "column3", "a_2_2"], [[1, 2, 3, 4]]),
        ("a,b\n1\n1,2,3\n", {}, ["a", "b", "column3"], [[1, None, None], [1, 2, 3]]),
        ('a\n"one\ntwo"\n\n"say ""x"""\n', {}, ["a"], [["one\ntwo"], ['say "x"']]),
        ("\ufeffa\r\n1\r\n", {}, ["a"], [[1]]),
        ("a\n1_000\n", {}, ["a"], [["1_000"]]),
        ("a\nnan\ninf\n", {}, ["a"], [["nan"], ["inf"]]),
        ("a\n99999999999999999999\n", {}, ["a"], [["99999999999999999999"]]),
        ("a\n0\n-0.5\n+3\n", {}, ["a"], [[0], [-0.5], [3]]),
        ("a,b\n", {}, ["a", "b"], []),
        ("", {}, [], []),
    ],
)
def test_forms_of_tables(text: str, options: dict[str, Any], columns: list[str], rows: list[list[Any]]) -> None:
    found = use("csv_read", text=text, **options)
    assert found["columns"] == columns
    assert [list(row.values()) for row in found["rows"]] == rows


@pytest.mark.parametrize("args", [{}, {"text": "a", "path": "b"}])
def test_one_of_text_and_path_is_needed(args: dict[str, Any]) -> None:
    with pytest.raises(ScriptError, match="give one of text and path"):
        use("csv_read", Answers(), **args)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ('a\n"' + "x" * 1_500_000, "csv_field_chars"),
        ('a\n"' + "x\n" * 100_000, "csv_field_chars"),
        ("a\n" + "x" * 110_000, "csv_field_chars"),
        ("," * 1_000_000, "csv_columns"),
        ("1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1\n" * 40_000, "csv_cells"),
        ("," * 900 + "\n" + "1\n" * 5_000, "csv_cells"),
    ],
    ids=["endless-quote", "endless-lines", "long-field", "many-columns", "many-cells", "few-of-wide"],
)
def test_a_table_that_is_too_large_meets_a_limit(text: str, limit: str) -> None:
    with pytest.raises(LimitError) as caught:
        use("csv_read", text=text, max_rows=50_000)
    assert caught.value.limit == limit


def test_a_file_that_is_too_large_meets_a_limit() -> None:
    with pytest.raises(LimitError, match="more than 4,000,000 characters"):
        use("csv_read", Answers(storage_read=lambda path: "a\n" * 2_000_001), path="x.csv")


def test_other_delimiters_do_not_fit_the_schema() -> None:
    assert [problem.path for problem in problems("csv_read", {"text": "a", "delimiter": "xx"})] == ["$.delimiter"]
