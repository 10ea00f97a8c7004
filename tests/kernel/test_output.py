"""What a cell writes to the page."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.kernel.output import CellOutput
from llmspell_kernel.shown import Data, Progress, Table


class Shell:
    """A shell that writes down what is published; nothing of it is needed for text."""

    def __init__(self) -> None:
        self.display_pub = self
        self.published: list[tuple[dict[str, str], dict[str, Any], bool]] = []

    def publish(self, data: dict[str, str], metadata: dict[str, Any], *, transient: dict[str, str], update: bool) -> None:
        self.published.append((data, metadata, update))

    def clear_output(self, wait: bool) -> None:
        self.published = []


def test_a_shown_thing_brings_its_bundle_and_no_metadata() -> None:
    shell = Shell()
    size = CellOutput(shell).show(Table([[1]], ["a"], "T"), "nil")
    ((data, metadata, update),) = shell.published
    assert set(data) == {"text/html", "text/plain"} and metadata == {} and not update
    assert size == sum(len(text.encode()) for text in data.values())


def test_nothing_is_published_that_no_page_should_get() -> None:
    shell = Shell()
    data = {"text/html": "<p>ok</p><script>x</script>", "text/plain": "ok", "application/javascript": "x"}
    CellOutput(shell).display(data, {"trusted": True}, "", update=False)
    assert shell.published == [({"text/plain": "ok"}, {}, False)]


def test_nothing_is_shown_by_the_languages_word() -> None:
    shell = Shell()
    CellOutput(shell).show(Data(None), "nil")
    assert shell.published[0][0] == {"text/plain": "nil"}


def test_a_bar_is_published_at_the_latest_when_the_cell_ends() -> None:
    shell = Shell()
    output = CellOutput(shell, "static")
    output.show(Progress(1, 1, 2), "nil")
    output.finish()
    assert [data["text/plain"] for data, _, _ in shell.published] == ["◌ 1/2 (50 %)"]


def test_clear_tells_who_must_know() -> None:
    told = []
    output = CellOutput(Shell())
    output.on_clear = lambda: told.append(True)
    output.clear()
    assert told == [True]


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain\n", "plain\n"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b]52;c;c3RvbGVu\x07after", "after"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("safe\u202egnp.exe", "safegnp.exe"),
    ],
)
def test_of_terminal_sequences_only_colours_reach_the_page(text, shown, capsys):
    CellOutput(Shell()).write("stdout", text)
    assert capsys.readouterr().out == shown


def test_a_sequence_cut_in_two_is_still_one(capsys):
    output = CellOutput(Shell())
    for piece in ("a\x1b[3", "1mb\x1b]8;;http://evil", ".example\x07c"):
        output.write("stderr", piece)
    assert capsys.readouterr().err == "a\x1b[31mb\x1b[0mc"  # a colour ends with its piece
