"""Patterns of names are held against names that a script chooses, and take as long as a pattern may."""

from __future__ import annotations

import time

import pytest

from llmspell_kernel.bridges._name_patterns import MOST_CHARS, fits, is_too_long


@pytest.mark.parametrize(
    ("name", "patterns", "does"),
    [("web_get", ("web_*",), True), ("web_get", ("file_*", "*_get"), True), ("web_get", (), False), ("Web_get", ("web_*",), False)],
)
def test_a_name_fits_where_one_pattern_does(name: str, patterns: tuple[str, ...], does: bool) -> None:
    assert fits(name, patterns) is does


def test_no_pattern_is_held_against_a_name_that_is_too_long() -> None:
    assert fits("a" * MOST_CHARS, ("*",)) and not is_too_long("a" * MOST_CHARS)
    assert not fits("a" * (MOST_CHARS + 1), ("*",)) and is_too_long("a" * (MOST_CHARS + 1))
    started = time.process_time()
    assert not fits("a" * 10_000_000, ["*" + "a" * 180 + "b"] * 50)
    assert time.process_time() - started < 0.5
