"""The commands of `%llmspell` are listed in one place: what it says of them, takes and awaits comes from there."""

from __future__ import annotations

from inspect import getdoc, iscoroutinefunction
from types import SimpleNamespace
from typing import Any

import pytest

from llmspell_kernel.engines._registry import discover
from llmspell_kernel.errors import ConfigError
from llmspell_kernel.kernel.commands import COMMANDS, GROUPS
from llmspell_kernel.kernel.magics.llmspell import register
from llmspell_kernel.kernel.transform import await_commands


def magic(notebook: Any = None) -> Any:
    found: list[Any] = []
    register(SimpleNamespace(register_magic_function=lambda function, magic_kind, magic_name: found.append(function)), notebook)
    return found[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_takes_a_while_is_awaited_and_no_other_is(name: str) -> None:
    command = COMMANDS[name]
    assert iscoroutinefunction(command.function()) == command.is_awaited
    line = f"get_ipython().run_line_magic('llmspell', '{name} x')\n"
    assert await_commands([line]) == [f"await {line}" if command.is_awaited else line]


def test_the_help_names_every_command() -> None:
    told = getdoc(magic()) or ""
    assert [usage for command in COMMANDS.values() for usage, _ in command.usages if f"\n  {usage}" not in told] == []


@pytest.mark.parametrize("line", ["", "help"])
def test_the_magic_alone_and_its_help_list_every_command_within_80_columns(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    magic()(line)
    told = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name}" not in told] == []
    assert [title for title in GROUPS if f"\n\n{title}\n" not in told] == []
    assert max(map(len, told.splitlines())) < 80


def test_the_help_of_one_command_is_its_lines_alone(capsys: pytest.CaptureFixture[str]) -> None:
    magic()("help record")
    told = capsys.readouterr().out
    assert told.startswith("%llmspell record [FILE]") and "%llmspell record off" in told and "replay [FILE]" not in told
    with pytest.raises(ConfigError, match="did you mean 'record'"):
        magic()("help recrd")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("states x", "'%llmspell states x' has too many words; write: %llmspell states"),
        ("engine a b", "'%llmspell engine a b' has too many words; write: %llmspell engine, or %llmspell engine NAME"),
        ("stats", "%llmspell has no such command: 'stats'; did you mean 'status'"),
        ("stats x", "%llmspell has no such command: 'stats'; did you mean 'status'"),
        ("recrd", "%llmspell has no such command: 'recrd'; did you mean 'record'?"),
        ("xyzzy", "%llmspell has no such command: 'xyzzy'. %llmspell help lists them all"),
        ("states 'x", "'%llmspell states 'x' has a quotation mark without its other one"),
    ],
)
def test_a_wrong_line_is_told_with_what_is_wrong_in_it(line: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        magic()(line)
    assert str(told.value).startswith(said)


def test_the_quotes_of_a_value_reach_the_settings() -> None:
    given: list[str] = []
    notebook = SimpleNamespace(configure=lambda *pairs: given.extend(pairs) or [], session=SimpleNamespace(unmet_rules=list))
    magic(notebook)('config grants.ask=["storage.*", "http.*"] seed=1')
    assert given == ['grants.ask=["storage.*", "http.*"]', "seed=1"]


def test_a_language_that_is_none_is_told_before_what_would_be_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    notebook = SimpleNamespace(engines=discover(), background=[])
    with pytest.raises(ConfigError, match="foo"):
        magic(notebook)("stop foo")
    assert capsys.readouterr().out == ""
