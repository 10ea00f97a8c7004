"""What a bridge shows has an HTML form that is safe, and a plain twin that says the same."""

import pytest

from llmspell_kernel.render.progress import progress_plain
from llmspell_kernel.render.shown import shown_bundle
from llmspell_kernel.shown import Data, Markdown, Matrix, Progress, Shown, Table, Tree
from llmspell_kernel.values import Value

from .page import HOSTILE, Page, check_safe


def plain(shown: Shown, null: str = "null") -> str:
    return shown_bundle(shown, null)["text/plain"]


def html(shown: Shown, null: str = "null") -> Page:
    return check_safe(shown_bundle(shown, null)["text/html"])


def test_nothing_is_shown_by_the_languages_own_word() -> None:
    assert shown_bundle(Data(None), "nil") == {"text/plain": "nil"}
    nothings: list[Shown] = [Data([{"a": None}]), Data([1, None]), Table([[None]]), Tree({"a": [None]}, "", 9)]
    for shown in nothings:
        assert "nil" in plain(shown, "nil") and "nil" in html(shown, "nil").text
        assert "null" not in plain(shown, "nil") + html(shown, "nil").text


def test_a_title_stands_above_both_twins() -> None:
    shown: Shown
    for shown in (Data([{"a": 1}], "Rows"), Table([[1]], None, "Rows"), Tree({"a": 1}, "Rows")):
        assert plain(shown).startswith("Rows\n")
        assert html(shown).text.startswith("Rows")
    assert shown_bundle(Data("text", "Title")) == {"text/plain": "Title\ntext"}


def test_columns_choose_and_order_the_keys_of_objects() -> None:
    table = Table([{"a": 1, "b": "x", "c": 0}, {"b": "y"}], ["b", "a"])
    assert plain(table) == "b  a\n-  -\nx  1\ny"
    assert html(table).text == "bax1y"


def test_lists_are_rows_under_the_given_heads() -> None:
    assert plain(Table([["x", 1], ["y", 20, True]], ["name", "n", "last"])) == "name   n  last\n----  --  ----\nx      1\ny     20  true"


def test_lists_without_heads_have_none() -> None:
    table = Table([["x", 1], ["y"]])
    assert plain(table) == "x  1\ny"
    assert not html(table).of("th") and len(html(table).of("td")) == 4


def test_a_table_without_rows_says_so() -> None:
    assert plain(Table([], ["a", "b"])) == "a  b\n-  -\n(no rows)"
    assert html(Table([], ["a"])).text == "a(no rows)"
    assert plain(Table([])).strip() == "(no rows)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.333333"),
        (2 / 3 * 1000, "666.666667"),
        (1234567.125, "1234567.125"),
        (0.00012345678901, "0.000123457"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e22, "1e+22"),
        (1e-7, "1e-07"),
        (5e-324, "5e-324"),
        (float("nan"), "nan"),
        (2**53 + 1, "9007199254740993"),
    ],
)
def test_a_number_in_a_table_is_short_and_whole_under_the_pointer(value: float, shown: str) -> None:
    assert plain(Table([[value]])) == shown
    page = html(Table([[value]]))
    assert page.text == shown
    assert page.of("td")[0].get("title") == (None if repr(value) == shown else repr(value))


def test_a_lone_number_is_never_rounded() -> None:
    assert plain(Data(0.1 + 0.2)) == "0.30000000000000004"


def test_a_tree_unfolds_as_many_levels_as_asked_for() -> None:
    value = {"a": {"b": {"c": 1}}}
    for levels in range(4):
        assert sum("open" in node for node in html(Tree(value, "", levels)).of("details")) == levels


def test_an_open_node_does_not_say_twice_what_stands_below_it() -> None:
    assert html(Tree({"a": "word"})).text == '1 keya: "word"'
    assert html(Tree({"a": "word"}, "", 0)).text == '{"a": "word"} 1 keya: "word"'


def test_markdown_is_rendered_and_stays_readable_as_text() -> None:
    shown = shown_bundle(Markdown("# T\n\n- **b**"))
    assert {"h1", "li", "strong"} <= check_safe(shown["text/html"]).tags
    assert shown["text/plain"] == "# T\n\n- **b**"


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(1, 0, 4), "◌ 0/4 (0 %)"),
        (Progress(1, 1, 3, "Reading", "a.txt"), "◌ Reading 1/3 (33 %) a.txt"),
        (Progress(1, 3, 3, "Reading"), "✓ Reading 3/3 (100 %)"),
        (Progress(1, 2, 3, "Reading", ended=True), "⊘ Reading 2/3 (66 %)"),
        (Progress(1, 5, 3), "✓ 5/3 (100 %)"),
        (Progress(1, 0, 0), "✓ 0/0 (100 %)"),
        (Progress(1, 7, None, "L"), "◌ L 7"),
        (Progress(1, 7, None, "L", ended=True), "✓ L 7"),
        (Progress(1, 0.1 + 0.2, 1.5), "◌ 0.3/1.5 (20 %)"),
    ],
)
def test_a_progress_bar_says_how_far_it_has_come(progress: Progress, text: str) -> None:
    assert plain(progress) == text
    assert " ".join(html(progress).text.split()) == text


def test_a_progress_bar_is_one_line_whatever_it_is_told() -> None:
    told = progress_plain(Progress(1, 1, 2, "a\nb\r\x1b[2Jc", "d\n" * 1_000), with_bar=True)
    assert "\n" not in told and "\x1b" not in told and len(told) < 500
    assert told.startswith("◌ a b c [##########..........] 1/2 (50 %) d d")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(text: str) -> None:
    value: Value = [{text: text}]
    shown: list[Shown] = [
        Data(value, text),
        Markdown(text),
        Table(value, [text], text),
        Table([[text]], [text], text),
        Tree({text: [text, {text: text}]}, text, 9),
        Progress(1, 1, 2, text, text),
    ]
    for each in shown:
        html(each)
        assert set(shown_bundle(each)) == {"text/html", "text/plain"}
        assert "\u202e" not in plain(each) and "\x1b]" not in plain(each)


def test_a_matrix_is_a_table_whose_shares_are_seen_and_said() -> None:
    matrix = Matrix(["prompt", "a"], [["<b>", "0 % (0/2)"], ["y", "100 % (2/2)"]], [[None, 0.0], [None, 1.0]], "Comparison")
    shown = shown_bundle(matrix)
    assert shown["text/plain"] == "Comparison\nprompt  a\n------  -----------\n<b>     0 % (0/2)\ny       100 % (2/2)"
    assert (
        shown["text/html"].count("background-color:rgba(207,60,57,.25)")
        == shown["text/html"].count("background-color:rgba(46,160,67,.25)")
        == 1
    )
    assert "<b>" not in shown["text/html"] and "&lt;b&gt;" in shown["text/html"]


def test_shares_that_do_not_fit_a_matrix_are_left_out() -> None:
    for shares in ([], [[]], [[1.0]], [[9.0, -3.0, 0.5], [0.5]]):
        assert shown_bundle(Matrix(["a", "b"], [[1, 2]], shares))["text/plain"] == "a  b\n-  -\n1  2"  # type: ignore[arg-type]
