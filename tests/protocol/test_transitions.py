"""The table of legal transitions, walked whole: in the table itself and through a conversation."""

from __future__ import annotations

import itertools

import pytest

from llmspell_kernel.errors import LocalProtocolError, RemoteProtocolError
from llmspell_kernel.protocol.conversation import StateTalk
from llmspell_kernel.protocol.transitions import BY_HOST, TABLE, Event, Phase

from .protocol_talk import RECEIVED, SENT, STATE, at, happen

EVERY = list(itertools.product(Phase, Event))
# a closed state is forgotten, so the conversation sees it as one that never was: its id is free again
SEEN_AS = {Phase.CLOSED: Phase.ABSENT}


@pytest.mark.parametrize(("phase", "event"), EVERY, ids=lambda part: part.value)
def test_a_state_moves_exactly_where_the_table_says(phase: Phase, event: Event) -> None:
    talk = StateTalk()
    talk.phase = phase
    if (phase, event) in TABLE:
        talk.step(event)
        assert talk.phase is TABLE[phase, event]
        return
    with pytest.raises(LocalProtocolError if event in BY_HOST else RemoteProtocolError, match=f"'{event.value}' is not legal"):
        talk.step(event)
    assert talk.phase is phase


@pytest.mark.parametrize(("phase", "event"), EVERY, ids=lambda part: part.value)
def test_a_conversation_allows_exactly_what_the_table_says(phase: Phase, event: Event) -> None:
    talk = at(phase)
    before = (talk.phase(STATE), talk.open_effects(STATE))
    target = TABLE.get((SEEN_AS.get(phase, phase), event))
    if target is not None:
        happen(talk, event)
        assert talk.phase(STATE) is SEEN_AS.get(target, target)
        return
    with pytest.raises(LocalProtocolError if event in BY_HOST else RemoteProtocolError):
        happen(talk, event)
    assert (talk.phase(STATE), talk.open_effects(STATE)) == before


def test_every_event_is_either_sent_or_received() -> None:
    assert set(SENT) == BY_HOST
    assert set(RECEIVED) == set(Event) - BY_HOST


def test_every_phase_can_be_reached() -> None:
    assert {Phase.ABSENT, *TABLE.values()} == set(Phase)


def test_nothing_leads_out_of_a_closed_state() -> None:
    assert not [event for phase, event in TABLE if phase is Phase.CLOSED]


@pytest.mark.parametrize("event", [Event.FINISHED, Event.FAILED])
def test_the_end_of_a_cell_forgets_its_open_effects(event: Event) -> None:
    talk = at(Phase.WAITING)
    happen(talk, Event.RESUME)
    happen(talk, event)
    assert talk.open_effects(STATE) == frozenset()


def test_the_phase_of_a_refused_state_is_absent_and_it_may_be_opened_again() -> None:
    talk = at(Phase.OPENING)
    happen(talk, Event.REFUSED)
    assert talk.phase(STATE) is Phase.ABSENT
    happen(talk, Event.OPEN)
    assert talk.phase(STATE) is Phase.OPENING
