"""The bridge `log`."""

import ast
import asyncio
from pathlib import Path

import pytest

import llmspell_kernel.bridges.log as module
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges.log import Log
from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.testing.context import FakeContext
from llmspell_kernel.values import EMPTY_TABLE, Value


def call(context: FakeContext, level: str, *args: Value) -> None:
    bound = declare(Log).methods[level].bind(args)
    assert asyncio.run(getattr(Log(), level)(context, *bound)) is None


@pytest.mark.parametrize("level", ["debug", "info", "warn", "error"])
def test_each_level_writes_one_entry_with_its_fields(context: FakeContext, level: str) -> None:
    call(context, level, "saved", {"rows": 3})
    assert context.calls == [("log", (level, "saved", {"rows": 3}))]


@pytest.mark.parametrize("rest", [(), (None,), (EMPTY_TABLE,), ({},)])
def test_fields_may_be_left_out(context: FakeContext, rest: tuple[Value, ...]) -> None:
    call(context, "info", "saved", *rest)
    assert context.calls == [("log", ("info", "saved", {}))]


def test_a_message_must_be_text(context: FakeContext) -> None:
    with pytest.raises(ArgumentError, match=r"log\.info: argument 1 \(message\) must be a string, not a number"):
        call(context, "info", 5)
    assert context.calls == []


def test_it_is_written_with_what_a_third_party_has() -> None:
    assert imports_of(module.__file__) <= {"__future__", "typing", "msgspec", "llmspell_kernel", "llmspell_kernel.values"}


def imports_of(file: str | None) -> set[str | None]:
    assert file
    nodes = list(ast.walk(ast.parse(Path(file).read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
