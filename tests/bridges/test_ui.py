"""The bridge `ui`."""

import ast
import asyncio
from pathlib import Path

import pytest

import llmspell_kernel.bridges.ui as module
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges.ui import ProgressBar, Ui
from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.shown import Data, Markdown, Table, Tree
from llmspell_kernel.testing.context import FakeContext
from llmspell_kernel.values import EMPTY_TABLE, Value


def call(context: FakeContext, name: str, *args: Value) -> None:
    bound = declare(Ui).methods[name].bind(args)
    assert asyncio.run(getattr(Ui(), name)(context, *bound)) is None


@pytest.mark.parametrize("value", [[{"a": 1}], "text", None, 3.5, {"b": [1]}, b"\xff"])
def test_display_shows_any_value_as_it_is(context: FakeContext, value: Value) -> None:
    call(context, "display", value)
    assert context.of("show") == [Data(value)]


def test_display_takes_a_title(context: FakeContext) -> None:
    call(context, "display", EMPTY_TABLE, {"title": "Rows"})
    assert context.of("show") == [Data({}, "Rows")]


def test_nothing_is_displayed_as_nothing(context: FakeContext) -> None:
    call(context, "display")
    call(context, "json")
    assert context.of("show") == [Data(None), Tree(None)]


def test_markdown_is_shown_as_markdown(context: FakeContext) -> None:
    call(context, "markdown", "# T")
    assert context.of("show") == [Markdown("# T")]


@pytest.mark.parametrize("rows", [[{"a": 1}, {"b": 2}], [[1, 2], [3]], [], [{}, [1]], [[], {"a": 1}]])
def test_a_table_takes_objects_or_lists(context: FakeContext, rows: list[Value]) -> None:
    call(context, "table", rows, {"title": "T"})
    assert context.of("show") == [Table(rows, None, "T")]


def test_columns_choose_and_order(context: FakeContext) -> None:
    call(context, "table", [{"a": 1}, {"b": 2}], {"columns": ["b", "a"]})
    call(context, "table", [[1, 2], [3]], {"columns": ["x", "y"]})
    call(context, "table", [], {"columns": ["x"]})
    assert [shown.columns for shown in context.of("show")] == [["b", "a"], ["x", "y"], ["x"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5,), r"argument 1 \(rows\) must be a list, not a number"),
        (([{"a": 1}, 5],), "row 2 must be an object or a list, not a number"),
        (([[1], {"a": 1}],), "row 2 is an object, but the rows before it are lists"),
        (([{}, {"a": 1}, [1]],), "row 3 is a list, but the rows before it are objects"),
        (([{"name": 1}, {}], {"columns": ["nmae"]}), "no row has the column 'nmae'; did you mean 'name'"),
        (([[1], [1, 2]], {"columns": ["a"]}), r"row 2 has more values \(2\) than there are columns \(1\)"),
        (([], {"columns": "a"}), "options.columns must be a list"),
    ],
)
def test_a_wrong_table_says_what_is_wrong_with_it(context: FakeContext, arguments: tuple[Value, ...], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call(context, "table", *arguments)
    assert context.calls == []


def test_json_says_how_many_levels_are_open(context: FakeContext) -> None:
    call(context, "json", {"a": 1}, {"title": "T", "depth": 3})
    assert context.of("show") == [Tree({"a": 1}, "T", 3)]
    with pytest.raises(ArgumentError, match="depth must be .*at least 0"):
        call(context, "json", 1, {"depth": -1})


def progress(context: FakeContext, *args: Value) -> ProgressBar:
    bar = asyncio.run(Ui().progress(context, *declare(Ui).methods["progress"].bind(args)))
    assert isinstance(bar, ProgressBar)
    return bar


def test_a_progress_bar_shows_each_of_its_states(context: FakeContext) -> None:
    bar = progress(context, 4, {"label": "Reading"})

    async def use() -> None:
        await bar.advance(context)
        await bar.advance(context, 2)
        await bar.update(context, 4, "last")
        await bar.update(context, 3.5)
        await bar.close(context)
        await bar.release()

    asyncio.run(use())
    states = context.of("show")
    assert [(state.done, state.text, state.ended) for state in states] == [
        (0, "", False),
        (1, "", False),
        (3, "", False),
        (4, "last", False),
        (3.5, "last", False),
        (3.5, "last", True),
    ]
    assert {(state.bar, state.total, state.label) for state in states} == {(context.call_id, 4, "Reading")}


def test_a_progress_bar_may_not_know_its_total(context: FakeContext) -> None:
    progress(context, None, {"label": "L"})
    progress(context)
    assert [state.total for state in context.of("show")] == [None, None]


def test_a_bar_is_shown_where_it_was_moved_last() -> None:
    first, second = FakeContext(call_id=1), FakeContext(call_id=9)
    bar = progress(first, 2)
    asyncio.run(bar.advance(second))
    asyncio.run(bar.release())
    assert len(first.of("show")) == 1 and [state.bar for state in second.of("show")] == [1, 1]


def test_less_than_nothing_cannot_be_done(context: FakeContext) -> None:
    bar = progress(context, 2)
    with pytest.raises(ArgumentError, match="-1 done is less than nothing"):
        asyncio.run(bar.advance(context, -1))
    with pytest.raises(ArgumentError, match="total.*must be at least 0, not -2"):
        progress(context, -2)
    assert len(context.of("show")) == 1


def test_a_bar_keeps_no_text_of_megabytes(context: FakeContext) -> None:
    bar = progress(context, 2, {"label": "x" * 1_000_000})
    asyncio.run(bar.update(context, 1, "x" * 1_000_000))
    assert all(len(state.label) + len(state.text) <= 2_000 for state in context.of("show"))


def test_an_unknown_option_is_refused_with_the_known_ones(context: FakeContext) -> None:
    with pytest.raises(ArgumentError, match=r"ui\.display: options has no key 'titel'; did you mean 'title'\?"):
        call(context, "display", 1, {"titel": "x"})
    assert context.calls == []


def test_clear_clears(context: FakeContext) -> None:
    call(context, "clear")
    assert context.calls == [("clear", None)]


def test_it_is_written_with_what_a_third_party_has() -> None:
    assert module.__file__
    nodes = list(ast.walk(ast.parse(Path(module.__file__).read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names <= {
        "__future__",
        "typing",
        "msgspec",
        "llmspell_kernel",
        "llmspell_kernel.errors",
        "llmspell_kernel.shown",
        "llmspell_kernel.values",
    }


def test_write_adds_nothing_to_the_text(context: FakeContext) -> None:
    call(context, "write", "a")
    call(context, "write", "b\n")
    assert context.calls == [("write", ("stdout", "a")), ("write", ("stdout", "b\n"))]
