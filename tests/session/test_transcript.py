"""How calls get the names that a replay finds them by."""

from __future__ import annotations

import pytest

from llmspell_kernel.errors import ValueCrossingError
from llmspell_kernel.journal.cassette import Entry
from llmspell_kernel.session.transcript import Made, Transcript


def made(place: int, written: bytes = b'["x"]', answer: bytes = b"null") -> Made:
    call = Made(place, 1, "kib.back", None, written, ())
    call.answer = answer
    return call


def answered(transcript: Transcript, *calls: Made) -> list[Entry]:
    """Each in a step of its own: the script has gone on in between."""
    entries = []
    for step, call in enumerate(calls, 1):
        call.step = (1, step)
        entries.append(transcript.entry(call))
    return entries


@pytest.mark.parametrize("names_before_answers", [True, False])
def test_equal_calls_are_named_in_the_order_in_which_they_were_asked(*, names_before_answers: bool) -> None:
    transcript, first, second = Transcript(), made(1, answer=b"1"), made(2, answer=b"2")
    transcript.asked(first)
    transcript.asked(second)
    if names_before_answers:
        transcript.name_asked()

    late, early = made(3, answer=b"3"), second
    found = answered(transcript, early, first)
    transcript.asked(late)
    (last,) = answered(transcript, late)

    name = found[1].after  # the script had seen the second call's answer when the first one's came
    assert name.endswith(":1")
    assert found[0].after == ""
    assert last.after == ""


def test_a_call_that_is_forgotten_leaves_its_name_to_the_next_one() -> None:
    transcript, stopped = Transcript(), made(1)
    transcript.asked(stopped)
    transcript.forget(stopped)
    again, other = made(2), made(3)
    transcript.asked(again)
    transcript.asked(other)

    _, after_again = answered(transcript, other, again)

    assert after_again.after.endswith(":1")


def test_arguments_in_no_written_form_are_an_error_of_their_own_call_alone() -> None:
    transcript, wrong, right = Transcript(), made(1, b"[nonsense"), made(2)
    transcript.asked(wrong)
    transcript.asked(right)
    transcript.name_asked()

    with pytest.raises(ValueCrossingError, match="malformed"):
        transcript.entry(wrong)
    assert transcript.entry(right).call == "kib.back"
