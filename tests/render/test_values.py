"""A cell's results are shown by type, escaped, bounded, and always with a plain-text twin."""

import pytest

from llmspell_kernel.render.budget import MAX_HTML_BYTES, MAX_PLAIN_CHARS
from llmspell_kernel.render.values import bundle
from llmspell_kernel.values import EMPTY_TABLE, Callback, Opaque, ResourceRef, Value

from .page import HOSTILE, Page, check_safe


def plain(*values: Value, null: str = "null") -> str:
    data = bundle(values, null=null)
    assert data is not None
    return data["text/plain"]


def html(*values: Value) -> str:
    data = bundle(values)
    assert data is not None
    return data["text/html"]


def test_no_result_and_a_lone_null_show_nothing() -> None:
    assert bundle([]) is None
    assert bundle([None]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("hello\nworld", "hello\nworld"),
        ("", ""),
        (True, "true"),
        (42, "42"),
        (-(2**63), "-9223372036854775808"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (b"", "<0 bytes>"),
        (b"hello", "<5 bytes: 68 65 6c 6c 6f>"),
        (Opaque("function: f"), "function: f"),
        (Callback(7), "function"),
        (ResourceRef(9, "llm.stream"), "<llm.stream>"),
        (EMPTY_TABLE, "{}"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_a_single_value_is_plain_text_only(value: Value, text: str) -> None:
    assert bundle([value]) == {"text/plain": text}


def test_long_bytes_show_their_size_and_their_first_bytes() -> None:
    assert plain(bytes(100)) == "<100 bytes: " + "00 " * 31 + "00 …>"


def test_several_results_stand_on_one_line_as_in_lua() -> None:
    assert plain(1, "two", None, null="nil") == "1\ttwo\tnil"


def test_several_results_with_a_table_show_all_of_them() -> None:
    page = check_safe(html("count", 2, [{"a": 1}, {"a": 2}]))
    assert "table" in page.tags and "count" in page.text


def test_a_list_of_records_is_a_table_with_columns_in_first_seen_order() -> None:
    page = check_safe(html([{"b": 1, "a": "x"}, {"c": True, "a": "y"}]))
    assert page.text == "bac1xytrue"
    assert plain([{"b": 1, "a": "x"}, {"c": True, "a": "y"}]) == "b  a  c\n-  -  ----\n1  x\n   y  true"


def test_a_table_leaves_absent_cells_blank_and_shows_null_as_null() -> None:
    page = Page(html([{"a": 1, "b": None}, {"a": 2}]))
    assert len(page.of("td")) == 4
    assert page.text == "ab1null2"


def test_numbers_stand_right_in_both_twins() -> None:
    records = [{"name": "a", "n": 5}, {"name": "bb", "n": 1000}]
    cells = Page(html(records)).of("td")
    assert ["text-align:right" in str(cell["style"]) for cell in cells] == [False, True, False, True]
    assert plain(records).splitlines()[2:] == ["a        5", "bb    1000"]


def test_nested_cells_are_shown_on_one_line() -> None:
    assert '[1, 2, {"k": "v"}]' in check_safe(html([{"a": [1, 2, {"k": "v"}]}])).text
    assert plain([{"a": "two\nlines"}]).splitlines()[2:] == ["two lines"]


def test_a_table_of_a_thousand_rows_is_whole() -> None:
    records = [{"i": i} for i in range(1000)]
    assert len(Page(html(records)).of("tr")) == 1001
    assert "more" not in html(records) + plain(records)


def test_row_1001_is_counted_not_shown() -> None:
    records = [{"i": i} for i in range(1001)] + [{"late": 1}] * 2
    page = check_safe(html(records))
    assert len(page.of("tr")) == 1001
    notice = "… 3 more rows not shown (1,003 in all)"
    assert page.text.endswith(notice)
    lines = plain(records).splitlines()
    assert lines[-1] == notice and len(lines) == 1003
    assert "late" not in page.text


def test_many_columns_are_counted() -> None:
    records = [{f"c{i}": i for i in range(130)}]
    assert "… 30 more columns not shown" in html(records)
    assert plain(records).endswith("… 30 more columns not shown")


def test_wide_characters_keep_the_columns_aligned() -> None:
    lines = plain([{"a": "日本", "b": "x"}, {"a": "abcd", "b": "y"}]).splitlines()
    assert lines[2:] == ["日本  x", "abcd  y"]


def test_other_values_are_a_tree_and_json_like_text() -> None:
    value = {"name": "tea", "tags": ["a", "b"], "deep": {"x": [1, {"y": None}]}, "long": "z" * 100}
    page = check_safe(html(value))
    assert len(page.of("details")) >= 4 and "4 keys" in page.text
    assert "open" in page.of("details")[0]
    text = plain(value)
    assert text.splitlines()[:3] == ["{", '  "name": "tea",', '  "tags": ["a", "b"],']


def test_a_small_list_fits_on_a_line() -> None:
    assert plain([1, 2, "x"]) == '[1, 2, "x"]'
    assert "open" not in Page(html([1, 2, "x"])).of("details")[0]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(text: str) -> None:
    for value in ([{text: text}], {text: [text, {text: text}]}, [text], [[Opaque(text)]]):
        check_safe(html(value))
        assert "\x1b" not in plain(value) and "\u202e" not in plain(value)
    assert "\u202e" not in plain(text)


@pytest.mark.parametrize(
    "value",
    [
        [{"a": "&" * 1000, "b": "<" * 1000, "c": '"' * 1000} for _ in range(2000)],
        {str(i): ["<" * 15_000 for _ in range(20)] for i in range(200)},
        [[[i, [i]] for i in range(1000)] for _ in range(1000)],
        "x" * 3_000_000,
        ["y" * 3_000_000],
        [{"k" * 3_000_000: 1}],
    ],
)
def test_a_huge_value_stays_under_the_caps_and_says_so(value: Value) -> None:
    data = bundle([value])
    assert data is not None
    assert len(data["text/plain"]) <= MAX_PLAIN_CHARS + 200
    if "text/html" in data:
        assert len(data["text/html"].encode()) <= MAX_HTML_BYTES
        check_safe(data["text/html"])
    assert "…" in data["text/plain"]


def test_output_that_met_the_cap_says_so() -> None:
    assert "limit of 2 MB" in html({str(i): ["<" * 15_000 for _ in range(20)] for i in range(200)})


def test_the_deepest_value_that_can_cross_is_shown() -> None:
    value: Value = "bottom"
    for _ in range(64):
        value = [value]
    check_safe(html(value))
    assert plain(value)


def test_only_two_types_are_ever_offered() -> None:
    for value in ("<b>", {"text/html": "<script>"}, [{"text/markdown": "x"}]):
        assert set(bundle([value]) or {}) <= {"text/plain", "text/html"}
