"""What is found in several texts that are read as one, and in none of them alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from llmspell_kernel.services.guardrails.checks import Check
from llmspell_kernel.services.guardrails.searching import Found
from llmspell_kernel.services.guardrails.split import kinds_across


def searching(pattern: str, text: str) -> Iterator[Found]:
    return (Found(match.start(), match.end(), "it") for match in re.finditer(pattern, text))


@pytest.mark.parametrize(
    ("texts", "pattern", "is_found"),
    [
        (["a@", "b.io"], "a@b.io", True),
        (["top", "secret"], r"top\s+secret", True),
        (["a", "", "b"], "ab", True),
        (["se", "cr", "et"], "secret", True),
        (["secret", "other"], "secret", False),
        (["other", "secret"], "secret", False),
        (["end.", "next"], r"\.\s", False),
        (["end ", " next"], r"\s+", False),
        (["one", "two"], r"^two|one$", False),
        (["only"], "on|ly", False),
        ([], "x", False),
    ],
)
def test_only_what_begins_in_one_text_and_ends_in_another_is_split(texts: list[str], pattern: str, is_found: bool) -> None:
    assert bool(list(kinds_across(texts, lambda text: searching(pattern, text)))) is is_found


@pytest.mark.parametrize(
    ("texts", "check", "problems"),
    [
        (["4111 1111 ", "1111 1111"], Check(personal=("card",)), ["card split over texts"]),
        (["to a@b.io", "Dear"], Check(personal=("email",)), []),
        (["secret key secret", "key"], Check(regex=["secret ?key"]), ["pattern split over texts"]),
        (["aa", "aa"], Check(regex=["a+"]), []),
        (["sk-" + "proj-aB3dE6gH", "9jK2mN5pQ8sT"], Check(secrets=True), ["api key split over texts", "token split over texts"]),
    ],
)
def test_what_is_left_when_each_text_is_seen_to_is_looked_at_together(texts: list[str], check: Check, problems: list[str]) -> None:
    assert check.find(texts, None, runs=[range(len(texts))]).problems == problems
    assert check.find(texts, None).problems == []
