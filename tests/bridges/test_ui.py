"""The bridge `ui`."""

import ast
import asyncio
from pathlib import Path

import pytest

import llmspell_kernel.bridges.ui as module
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges.ui import Ui
from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.testing.context import FakeContext
from llmspell_kernel.values import EMPTY_TABLE, Value


def call(context: FakeContext, name: str, *args: Value) -> None:
    bound = declare(Ui).methods[name].bind(args)
    assert asyncio.run(getattr(Ui(), name)(context, *bound)) is None


@pytest.mark.parametrize("value", [[{"a": 1}], "text", None, 3.5, {"b": [1]}, b"\xff"])
def test_display_shows_any_value_as_it_is(context: FakeContext, value: Value) -> None:
    call(context, "display", value)
    assert context.calls == [("display", (value, ""))]


def test_display_takes_a_title(context: FakeContext) -> None:
    call(context, "display", EMPTY_TABLE, {"title": "Rows"})
    assert context.calls == [("display", ({}, "Rows"))]


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
    assert names <= {"__future__", "typing", "msgspec", "llmspell_kernel", "llmspell_kernel.values"}


def test_write_adds_nothing_to_the_text(context: FakeContext) -> None:
    call(context, "write", "a")
    call(context, "write", "b\n")
    assert context.calls == [("write", ("stdout", "a")), ("write", ("stdout", "b\n"))]
