"""How far many questions are: what a bar says while it moves, and what stays."""

from __future__ import annotations

import pytest

from llmspell_kernel.errors import LimitError
from llmspell_kernel.services.llm.agreement import votes_of
from llmspell_kernel.services.llm.batches import MAX_ANSWER_CHARS, Tally


def test_what_passes_is_told_while_it_goes_on_and_what_stays_says_no_time() -> None:
    tally = Tally(100, 10.0)
    assert tally.passing(10.0) == tally.lasting() == ""
    for _ in range(19):
        tally.add({"text": "x", "cost_usd": 0.001})
    tally.add_failure("timeout")
    assert tally.passing(20.0) == "2/s · 0:40 left · 1 failed (timeout 1) · $0.0190"
    tally.add({"text": "x", "cost_usd": None})
    assert tally.lasting() == "1 failed (timeout 1) · $0.0190 + 1 of unknown price"


def test_a_long_wait_is_told_in_hours() -> None:
    tally = Tally(10_000, 0.0)
    tally.add({"text": "", "cost_usd": 0.0})
    assert "2:46:39 left" in tally.passing(1.0)


def test_answers_that_are_too_long_to_be_kept_end_it() -> None:
    class Long(str):
        def __len__(self) -> int:
            return MAX_ANSWER_CHARS

    tally = Tally(3, 0.0)
    tally.add({"text": Long(), "cost_usd": 0.0})
    with pytest.raises(LimitError, match="64,000,000 characters in all"):
        tally.add({"text": "x", "cost_usd": 0.0})


def test_answers_are_the_same_but_for_case_space_and_marks_and_the_first_of_equals_wins() -> None:
    said = [{"text": text, "model": str(number)} for number, text in enumerate(("No", " YES! ", "yes", "no.", "maybe not"))]
    assert [(vote["text"], vote["count"], vote["models"]) for vote in votes_of(said)] == [
        ("No", 2, ["0", "3"]),
        (" YES! ", 2, ["1", "2"]),
        ("maybe not", 1, ["4"]),
    ]
