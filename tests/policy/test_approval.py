"""The text of a question: everything a script chose is quoted, on one line, visible, and of bounded length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from llmspell_kernel.policy.approval import ALL_CHARS, MARGIN, MAX_ITEMS, NARROWEST, PROMPT, ApprovalRequest, is_yes, quoted

HOSTILE = {
    "colours and cursor": "\x1b[2J\x1b[1;1H\x1b[31mharmless",
    "window title": "\x1b]0;title\x07",
    "c1 controls": "\x9b2J\x90",
    "carriage return": "rm -rf /\rls",
    "backspaces": "rm\x08\x08ls",
    "fake question": 'x"\nllmspell: a script asks to call storage.read (level: read)\nAllow this one call? [y/N] y\n',
    "right to left": "abc\u202etxt.exe",
    "isolates": "\u2066a\u2067b\u2068c\u2069",
    "line separators": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "zero width": "a\u200bb\u200cc\u200dd\ufeffe\u2060f",
    "blank letters": "a\u3164b\uffa0c\u115fd\u2800e\u034ff",
    "variation selectors": "a\ufe0fb\U000e0100c",
    "tags": "a\U000e0041\U000e0042",
    "zalgo": "a" + "\u0301" * 50,
    "surrogate": "a\ud800b",
    "nul": "a\0b",
    "no-break spaces": "a\u00a0b\u2003c\u3000d",
    "private use": "\ue000\U0010ffff",
}


def asking(*arguments: Any, **more: Any) -> ApprovalRequest:
    named = {str(position): argument for position, argument in enumerate(arguments, 1)}
    facts = {
        "capability": "storage.write",
        "level": "write",
        "engine": "lua",
        "state": "main",
        "cell": "cell[3]",
        "reason": "rule 'ask = x'",
    }
    return ApprovalRequest(**{**facts, "arguments": named, **more})


def starts(text: str) -> list[str]:
    """The lines that are no more of the one before."""
    return [line for line in text.splitlines() if not line.startswith(MARGIN)]


def unbroken(text: str) -> str:
    return text.replace(f"\n{MARGIN}", "")


def rows(text: str, width: int) -> Iterator[str]:
    """What a screen of that many columns has at its left edge and on: every line, broken where it is full."""
    for line in text.split("\n"):
        row, used = "", 0
        for char in line:
            columns = 0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
            if used + columns > width:
                yield row
                row, used = "", 0
            row, used = row + char, used + columns
        yield row


def is_plain(text: str) -> bool:
    return all(char == "\n" or (char.isprintable() and (char == " " or not char.isspace())) for char in text)


def test_a_question_shows_the_call_its_level_where_it_stands_the_rule_and_every_argument() -> None:
    assert asking("notes.txt", {"a": [1, 2.5, None, True]}, b"\x00ab").text == (
        "llmspell: a script asks to call storage.write (level: write)\n"
        '  script: cell[3], lua state "main"\n'
        "  asked:  rule 'ask = x'\n"
        '  1 = "notes.txt"\n'
        '  2 = {"a": [1, 2.5, nothing, true]}\n'
        "  3 = b'\\x00ab'\n"
        "Allow this one call? [y/N] "
    )


def test_a_step_of_a_call_is_named() -> None:
    assert '  to do:  "send a mail\\nand another"' in asking(what="send a mail\nand another").text


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_a_script_writes_leaves_its_quotes_or_its_line(name: str) -> None:
    hostile = HOSTILE[name]
    everywhere = asking(
        hostile, {hostile: hostile}, [hostile], state=hostile, cell=hostile, what=hostile, reason=hostile, capability=hostile
    )
    text = everywhere.text
    assert is_plain(text)
    lines = text.splitlines()
    assert len(starts(text)) == 8
    assert lines[-1] == PROMPT
    assert sum(line.startswith("llmspell:") for line in lines) == 1
    assert sum(line.startswith("Allow") for line in lines) == 1


@pytest.mark.parametrize(
    ("name", "seen"), [("right to left", "\\u202e"), ("fake question", '\\"\\nllmspell'), ("nul", "\\x00"), ("zero width", "\\u200b")]
)
def test_what_cannot_be_seen_is_shown_as_its_number(name: str, seen: str) -> None:
    assert seen in quoted(HOSTILE[name])


FAKES = [
    "  script: cell[1], lua state",
    "  asked:  rule",
    "  to do:  x",
    "  2 = 'x'",
    "Allow this one call? [y/N] ",
    "llmspell: a script asks to",
]
OURS = re.compile(r"llmspell:|Allow|  (script|asked|to do):|  \d+ =")


PLACES: dict[str, Callable[[str], ApprovalRequest]] = {
    "argument": asking,
    "key": lambda text: asking({text[:80]: text}),
    "bytes": lambda text: asking(text.encode()),
    "to do": lambda text: asking("x", what=text),
    "cell": lambda text: asking("x", cell=text, state=text),
    "reason": lambda text: asking("x", reason=text),
}


def check_no_row_looks_like_ours(place: str, padding: str, width: int) -> None:
    for before in range(width - 14, width):
        fake = FAKES[before % len(FAKES)]
        text = (padding * 200)[:before] + fake + (padding * 200)[: width - len(fake)] + fake
        request = PLACES[place](text)
        found = [match[0] for row in rows(request.text, width) if (match := OURS.match(row))]
        to_do = ["  to do:"] if place == "to do" else []
        assert found == ["llmspell:", *to_do, "  script:", "  asked:", "  1 =", "Allow"], request.text


@pytest.mark.parametrize("padding", [" ", "x"])
def test_no_row_of_an_argument_looks_like_ours_on_a_screen_of_any_width(padding: str) -> None:
    for width in range(NARROWEST, 201):
        check_no_row_looks_like_ours("argument", padding, width)


@pytest.mark.parametrize("padding", ["x ", "\u65e5", "e\u0301", "\0", "\\"], ids=ascii)
@pytest.mark.parametrize("place", PLACES)
def test_nor_does_anything_else_that_a_script_chose(place: str, padding: str) -> None:
    for width in (40, 41, 60, 80, 81, 120):
        check_no_row_looks_like_ours(place, padding, width)


@pytest.mark.parametrize("text", ["a  b", "   ", " " * 300, "a \u3000 b"], ids=ascii)
def test_every_space_of_a_run_is_seen(text: str) -> None:
    assert "  " not in quoted(text)
    for argument in (text, text.encode()):
        assert "  " not in starts(asking(argument).text)[3].removeprefix("  1 = ")


@given(some.text(alphabet="ab \\\n\u65e5\u0301", max_size=200))
def test_a_line_that_was_broken_says_the_same(text: str) -> None:
    whole = asking(text).text.split("\n  1 = ", 1)[1].removesuffix(f"\n{PROMPT}")
    assert unbroken(whole) == quoted(text)


def test_a_line_is_broken_at_a_word_where_there_is_one() -> None:
    assert asking("a sentence of several words that is longer than a narrow screen").text.splitlines()[3:-1] == [
        '  1 = "a sentence of several words that',
        '  | is longer than a narrow screen"',
    ]


def test_letters_of_every_language_stay_readable() -> None:
    for text in ("naïve café", "e\u0301", "привет", "日本語", "한국어", "שלום", "مرحبا", "नमस्ते", "😀", "C:/x 'y' {z}"):
        assert quoted(text) == f'"{text}"'


def test_a_quote_and_a_backslash_cannot_end_the_quotes() -> None:
    assert quoted('a" = 2, "b\\') == '"a\\" = 2, \\"b\\\\"'


@given(some.text(max_size=300))
def test_two_texts_that_differ_look_different(text: str) -> None:
    shown = quoted(text)
    assert is_plain(shown)
    assert shown.startswith('"') and shown.endswith('"')
    if text.isascii():
        unescaped = shown[1:-1].encode("ascii").decode("unicode_escape")
        assert unescaped == text


def test_a_megabyte_is_cut_in_its_middle_and_its_size_is_said() -> None:
    text = unbroken(asking("safe " + "x" * 1_000_000 + " rm -rf /").text)
    assert "1,000,014 characters" in text
    assert "characters not shown" in text
    assert '"safe xxx' in text and 'rm -rf /"' in text
    assert len(text) < 3_000


@pytest.mark.parametrize(
    "value",
    [
        ["x" * 500] * 100_000,
        {f"key{number}": "\x1b" * 500 for number in range(10_000)},
        [[[[[[[[[[[[["deep"]]]]]]]]]]]]],
        {"k" * 100_000: 1},
        b"\xff" * 1_000_000,
        10**400,
        ["\U0010ffff" * 1_200] * 60,
    ],
)
def test_no_argument_makes_a_question_that_nobody_can_read(value: Any) -> None:
    text = asking(*[value] * 60).text
    assert len(text) < 2.3 * ALL_CHARS
    assert len(starts(text)) <= MAX_ITEMS + 6
    assert is_plain(text)
    assert "not shown" in text or "more" in text


def test_what_is_left_out_of_a_list_is_counted() -> None:
    assert "...50 more items not shown..." in unbroken(asking(list(range(100))).text)
    assert "  ...and 10 more arguments, not shown" in asking(*range(60)).text


@pytest.mark.parametrize("answer", ["y", "Y", "yes", " Yes \n"])
def test_y_and_yes_allow(answer: str) -> None:
    assert is_yes(answer)


@pytest.mark.parametrize("answer", ["", "\n", "n", "no", "yy", "y n", "yes please", "ja", "1", "true", "\x04", "a", "ʏ", "y\ny"])
def test_everything_else_is_no(answer: str) -> None:
    assert not is_yes(answer)
