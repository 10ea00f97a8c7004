"""The tool `text_diff`."""

from __future__ import annotations

import random
import time

import pytest

from llmspell_kernel.errors import LimitError
from llmspell_kernel.services.tools.built_in.text_diff import unified

from .using import use


def lines_of(text: str) -> list[str]:
    *ended, last = text.split("\n")
    return [f"{line}\n" for line in ended] + [last] * bool(last)


def patched(a: str, diff: str) -> str:
    """The text after, by the text before and the diff, each of whose lines must fit."""
    before, made, at = lines_of(a), [], 0
    shown = diff.split("\n")[2:-1]
    for line, following in zip(shown, [*shown[1:], ""], strict=False):
        text = line[1:] if following.startswith("\\") else f"{line[1:]}\n"
        if line.startswith("@@"):
            start, _, length = line.split()[1][1:].partition(",")
            made += before[at : (begin := int(start) - (length != "0"))]
            at = begin
        if line[0] in " -":
            assert before[at] == text
            at += 1
        if line[0] in " +":
            made.append(text)
    return "".join(made + before[at:])


def test_a_change_is_shown_with_its_context_and_counted() -> None:
    found = use("text_diff", a="a\nb\nc\nd\n", b="a\nB\nc\nd\ne\n", context=1)
    assert found == {"diff": "--- a\n+++ b\n@@ -1,4 +1,5 @@\n a\n-b\n+B\n c\n d\n+e\n", "added": 2, "removed": 1}


def test_texts_that_are_the_same_have_an_empty_diff() -> None:
    assert use("text_diff", a="one\ntwo", b="one\ntwo") == {"diff": "", "added": 0, "removed": 0}


def test_a_missing_end_of_the_last_line_is_a_difference() -> None:
    found = use("text_diff", a="a\n", b="a")
    assert found["diff"] == "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n"


def test_only_a_line_feed_ends_a_line() -> None:
    assert use("text_diff", a="a\x0cb\u2028c\n", b="a\x0cb\u2028d\n")["removed"] == 1


def test_the_one_text_and_the_diff_make_the_other() -> None:
    chance = random.Random(1)
    lines = ["", "a", "b", "-c", "+d", "@@ e"]
    for _ in range(2_000):
        a, b = ("\n".join(chance.choices(lines, k=chance.randrange(12))) for _ in range(2))
        assert patched(a, unified(a, b, chance.randrange(4))["diff"]) == b


@pytest.mark.parametrize(("kinds", "count"), [(2, 90_000), (30, 90_000), (1_000, 90_000), (50_000, 90_000), (3, 3_000)])
def test_the_work_is_bounded_however_the_lines_repeat_and_the_diff_still_right(kinds: int, count: int) -> None:
    chance = random.Random(kinds)
    a, b = ("".join(f"{chance.randrange(kinds)}\n" for _ in range(count)) for _ in range(2))
    started = time.process_time()
    found = use("text_diff", a=a, b=b)
    assert time.process_time() - started < 10
    assert patched(a, found["diff"]) == b


def test_texts_of_too_many_lines_meet_a_limit() -> None:
    with pytest.raises(LimitError, match=r"more than 100,000 lines"):
        use("text_diff", a="\n" * 100_001, b="")
