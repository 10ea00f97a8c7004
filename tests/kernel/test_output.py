"""What a cell writes to the page."""

from __future__ import annotations

import pytest

from llmspell_kernel.kernel.output import CellOutput


class Shell:
    """Nothing of the shell is needed for text."""


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
