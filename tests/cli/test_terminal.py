"""What reaches a terminal, a pipe and a file, and in which order."""

from __future__ import annotations

import io

import pytest

from llmspell_kernel.cli._terminal import Terminal
from llmspell_kernel.shown import Data, Progress


class Screen(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_the_text_as_it_is() -> None:
    out = io.StringIO()
    Terminal(out, io.StringIO(), model_to_err=False).write("stdout", "a\x1b]0;title\x07b\r\n")
    assert out.getvalue() == "a\x1b]0;title\x07b\r\n"


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x1b]0;title\x07", "\x9b2J", "\x1b[1A", "\x1bc"])
def test_a_terminal_gets_no_control_sequences(hostile: str) -> None:
    out = Screen()
    Terminal(out, Screen(), model_to_err=False).write("stdout", f"a{hostile}b")
    assert "\x1b" not in out.getvalue() and "\x9b" not in out.getvalue()


def test_a_control_sequence_cut_in_two_is_still_caught() -> None:
    out = Screen()
    terminal = Terminal(out, Screen(), model_to_err=False)
    for piece in "a\x1b[2Jb":
        terminal.write("stdout", piece)
    assert out.getvalue() == "ab"


def test_colours_reach_a_terminal() -> None:
    out = Screen()
    Terminal(out, Screen(), model_to_err=False).write("stdout", "\x1b[31mred\x1b[0m\n")
    assert "\x1b[31mred" in out.getvalue()


def test_model_text_goes_to_stderr_when_stdout_is_for_json() -> None:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(out, err, model_to_err=True)
    terminal.model_text("hi")
    terminal.end_model_text("hi")
    assert (out.getvalue(), err.getvalue(), terminal.last_model_text) == ("", "hi\n", None)


def test_a_note_never_stands_behind_an_open_line() -> None:
    err = io.StringIO()
    terminal = Terminal(io.StringIO(), err, model_to_err=True)
    terminal.model_text("text")
    terminal.note("note")
    assert err.getvalue() == "text\nnote\n"


def test_a_line_is_ended_once() -> None:
    out = io.StringIO()
    terminal = Terminal(out, io.StringIO(), model_to_err=False)
    terminal.write("stdout", "text")
    terminal.end_line("stdout")
    terminal.end_line("stdout")
    assert out.getvalue() == "text\n"


def test_a_shown_value_has_its_title_above_it() -> None:
    out = io.StringIO()
    size = Terminal(out, io.StringIO(), model_to_err=False).show(Data([{"a": 1}], "Rows"), "nil")
    assert out.getvalue() == "Rows\na\n-\n1\n" and size == len(out.getvalue())


def test_nothing_is_shown_by_the_languages_word() -> None:
    out = io.StringIO()
    Terminal(out, io.StringIO(), model_to_err=False).show(Data(None), "nil")
    assert out.getvalue() == "nil\n"


def test_a_shown_value_never_stands_behind_an_open_line() -> None:
    out = io.StringIO()
    terminal = Terminal(out, io.StringIO(), model_to_err=False)
    terminal.write("stdout", "text")
    terminal.show(Data(1), "nil")
    assert out.getvalue() == "text\n1\n"


def bars(out: io.StringIO, err: io.StringIO) -> Terminal:
    return Terminal(out, err, model_to_err=False)


def test_in_a_pipe_a_progress_bar_is_one_line_when_it_ends() -> None:
    out, err = io.StringIO(), io.StringIO()
    terminal = bars(out, err)
    terminal.write("stdout", "open")
    for done in range(4):
        terminal.show(Progress(1, done, 3, "L"), "nil")
    assert err.getvalue() == ""
    terminal.show(Progress(1, 3, 3, "L", ended=True), "nil")
    terminal.show(Progress(2, 1, 3, "M"), "nil")
    terminal.finish()
    terminal.finish()
    assert err.getvalue() == "✓ L 3/3 (100 %)\n◌ M 1/3 (33 %)\n"
    assert out.getvalue() == "open\n"


def test_in_a_terminal_other_text_goes_above_the_bar() -> None:
    screen = Screen()
    terminal = bars(screen, screen)
    terminal.show(Progress(1, 1, 2, "L"), "nil")
    bar = "◌ L [##########..........] 1/2 (50 %)"
    assert screen.getvalue() == bar
    terminal.write("stdout", "hello\n")
    assert screen.getvalue() == f"{bar}\r\x1b[Khello\n{bar}"
    terminal.write("stdout", "open")
    terminal.show(Progress(1, 1.5, 2, "L"), "nil")
    terminal.finish()
    later = "◌ L [###############.....] 1.5/2 (75 %)"
    assert screen.getvalue().endswith(f"{bar}\r\x1b[Kopen\n{later}\r\x1b[K{later}\n")


def test_a_bar_in_a_terminal_leaves_a_piped_stdout_alone() -> None:
    out, screen = io.StringIO(), Screen()
    terminal = bars(out, screen)
    terminal.write("stdout", "open")
    terminal.show(Progress(1, 1, 2), "nil")
    terminal.show(Progress(1, 2, 2, ended=True), "nil")
    assert out.getvalue() == "open"
    assert screen.getvalue() == "◌ [##########..........] 1/2 (50 %)\r\x1b[K✓ [####################] 2/2 (100 %)\n"


def test_clear_leaves_a_pipe_alone() -> None:
    out = io.StringIO()
    terminal = Terminal(out, io.StringIO(), model_to_err=False)
    terminal.write("stdout", "kept\n")
    terminal.clear()
    assert out.getvalue() == "kept\n"


def test_text_after_the_model_makes_its_value_worth_printing() -> None:
    terminal = Terminal(io.StringIO(), io.StringIO(), model_to_err=False)
    terminal.model_text("hi")
    terminal.end_model_text("hi")
    assert terminal.last_model_text == "hi"
    terminal.write("stdout", "more\n")
    assert terminal.last_model_text is None


@pytest.mark.parametrize(("out", "err", "written"), [(Screen, Screen, "a b\n"), (io.StringIO, Screen, "a b"), (Screen, io.StringIO, "a b")])
def test_a_note_begins_on_a_line_of_its_own_where_both_are_one_screen(out: type[io.StringIO], err: type[io.StringIO], written: str) -> None:
    terminal = Terminal(stdout := out(), stderr := err(), model_to_err=False)
    terminal.write("stdout", "a b")
    terminal.note("llm.stream")
    assert stdout.getvalue() == written
    assert "llm.stream" in stderr.getvalue() and not stderr.getvalue().startswith("\n")
