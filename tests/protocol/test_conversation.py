"""The host's half of a conversation: every rule of the worker checked, every mistake of ours refused without harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from llmspell_kernel.errors import LocalProtocolError, RemoteProtocolError
from llmspell_kernel.protocol import conversation
from llmspell_kernel.protocol.conversation import END, Conversation
from llmspell_kernel.protocol.framing import frame
from llmspell_kernel.protocol.messages import (
    MAX_RETURNED,
    Begin,
    CloseState,
    HostMessage,
    Opened,
    OpenState,
    Ready,
    Reply,
    Resume,
    Stepped,
    WorkerMessage,
    clipped,
    decode_from_host,
    decode_from_worker,
    encode,
)
from llmspell_kernel.protocol.steps import Answer, Background, Effect, Failed, Fault, Finished, Invocation, Place, Returned, Suspended
from llmspell_kernel.protocol.transitions import Event, Phase

from .protocol_talk import EMPTY, RECEIVED, STATE, at, happen, hear, ready_conversation


def suspended(*effects: int, returned: tuple[int, ...] = (), abandoned: tuple[int, ...] = ()) -> Stepped:
    asked = [Effect(number, "llm", "chat") for number in effects]
    return Stepped(STATE, Suspended(asked, [Returned(number) for number in returned], list(abandoned)))


def running_after(*steps: tuple[Stepped, Resume]) -> Conversation:
    talk = at(Phase.RUNNING)
    for step, answer in steps:
        hear(talk, step)
        talk.send(answer)
    return talk


# ------------------------------------------------------------------------------------------------------------ what the worker may say


def test_a_whole_cell_goes_through_with_its_messages_in_order() -> None:
    talk = at(Phase.RUNNING)
    assert hear(talk, suspended(1, 2)) == suspended(1, 2)
    assert talk.open_effects(STATE) == {1, 2}
    talk.send(Resume(STATE, [Answer(2)]))
    assert talk.open_effects(STATE) == {1}
    hear(talk, suspended(5))
    talk.send(Resume(STATE, [Answer(5), Answer(1)], [Invocation(3, 9)]))
    hear(talk, suspended(returned=(3,)))
    talk.send(Resume(STATE))
    assert hear(talk, Stepped(STATE, Finished())) == Stepped(STATE, Finished())
    assert talk.phase(STATE) is Phase.IDLE


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (suspended(1), "effect 1 does not count up from 2"),
        (suspended(2), "effect 2 does not count up from 2"),
        (suspended(4, 4), "effect 4 does not count up from 4"),
        (suspended(5, 4), "effect 4 does not count up from 5"),
        (suspended(-1), "effect -1 does not count up"),
        (suspended(3, abandoned=(2,)), "abandons the unknown effect 2"),  # answered before
        (suspended(3, abandoned=(99,)), "abandons the unknown effect 99"),
        (suspended(3, abandoned=(3,)), "abandons the unknown effect 3"),  # asked in the same step
        (suspended(3, abandoned=(1, 1)), "abandons the unknown effect 1"),
        (suspended(3, returned=(9,)), "a return of the unknown invocation 9"),
        (suspended(3, returned=(4, 4)), "a return of the unknown invocation 4"),
    ],
)
def test_a_step_that_breaks_a_rule_of_ids_ends_the_conversation(step: Stepped, why: str) -> None:
    talk = running_after((suspended(1, 2), Resume(STATE, [Answer(2)], [Invocation(4, 1)])))
    with pytest.raises(RemoteProtocolError, match=why):
        hear(talk, step)
    with pytest.raises(LocalProtocolError, match="over"):
        talk.send(Resume(STATE))


def test_ids_never_start_again_in_the_next_cell() -> None:
    talk = running_after((suspended(1, 2), Resume(STATE, [Answer(1), Answer(2)])))
    happen(talk, Event.FINISHED)
    happen(talk, Event.BEGIN)
    with pytest.raises(RemoteProtocolError, match="effect 1 does not count up from 2"):
        hear(talk, suspended(1))


def test_a_return_that_comes_after_its_cell_is_a_breach() -> None:
    talk = running_after((suspended(1), Resume(STATE, [], [Invocation(1, 1)])))
    happen(talk, Event.FAILED)
    happen(talk, Event.BEGIN)
    with pytest.raises(RemoteProtocolError, match="unknown invocation 1"):
        hear(talk, suspended(2, returned=(1,)))


def test_suspended_with_nothing_to_wait_for_is_a_breach() -> None:
    with pytest.raises(RemoteProtocolError, match="nothing to wait for"):
        hear(at(Phase.RUNNING), suspended())


def test_abandoning_the_last_effect_leaves_nothing_to_wait_for() -> None:
    talk = running_after((suspended(1, 2), Resume(STATE, [Answer(2)])))
    with pytest.raises(RemoteProtocolError, match="nothing to wait for"):
        hear(talk, suspended(abandoned=(1,)))


def test_an_older_effect_is_enough_to_wait_for() -> None:
    talk = running_after((suspended(1, 2), Resume(STATE, [Answer(2)])))
    assert hear(talk, suspended()) == suspended()


def test_too_many_open_effects_are_a_breach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "MAX_OPEN_EFFECTS", 3)
    talk = running_after((suspended(1, 2, 3), Resume(STATE, [Answer(1)])))
    hear(talk, suspended(4))
    talk.send(Resume(STATE))
    with pytest.raises(RemoteProtocolError, match="more than 3 effects are open"):
        hear(talk, suspended(5))


def test_ready_twice_is_a_breach() -> None:
    with pytest.raises(RemoteProtocolError, match="'ready' twice"):
        hear(ready_conversation(), Ready(1))


@pytest.mark.parametrize("message", [Opened(8), Stepped(8, Finished()), Reply(8), Opened(-1), Stepped(2**70, Finished())])
def test_a_message_about_a_state_that_is_not_there_is_a_breach(message: WorkerMessage) -> None:
    with pytest.raises(RemoteProtocolError, match="unknown state"):
        hear(at(Phase.RUNNING), message)


def test_states_of_one_worker_do_not_touch_each_other() -> None:
    talk = at(Phase.WAITING)
    talk.send(OpenState(8, "lua", EMPTY, EMPTY))
    hear(talk, Opened(8))
    talk.send(Begin(8, "x", "cell[2]"))
    hear(talk, Stepped(8, Suspended([Effect(1, "llm", "chat")])))
    talk.send(Resume(8, [Answer(1)]))
    assert talk.open_effects(STATE) == {1}
    assert (talk.phase(STATE), talk.phase(8)) == (Phase.WAITING, Phase.RUNNING)


def test_two_messages_in_one_piece_are_two_messages() -> None:
    talk = Conversation()
    talk.receive(frame(encode(Ready(1))) + frame(encode(Ready(2)))[:3])
    assert isinstance(talk.next_message(), Ready)
    assert talk.next_message() is None


# ------------------------------------------------------------------------------------------------------------ how it ends


def test_the_end_of_the_stream_is_answered_again_and_again() -> None:
    talk = at(Phase.RUNNING)
    talk.receive(b"")
    assert [talk.next_message() for _ in range(3)] == [END] * 3


def test_what_came_before_the_end_of_the_stream_is_given_first() -> None:
    talk = at(Phase.RUNNING)
    talk.receive(frame(encode(RECEIVED[Event.FINISHED])))
    talk.receive(b"")
    assert talk.next_message() == RECEIVED[Event.FINISHED]
    assert talk.next_message() is END


@pytest.mark.parametrize("kept", [1, 3, 4, 10])
def test_a_stream_that_ends_inside_a_frame_is_a_breach(kept: int) -> None:
    talk = Conversation()
    talk.receive(frame(encode(Ready(1)))[:kept])
    assert talk.next_message() is None
    talk.receive(b"")
    with pytest.raises(RemoteProtocolError, match="ended inside a frame"):
        talk.next_message()


def test_a_breach_is_answered_with_the_same_error_again_and_again() -> None:
    talk = ready_conversation()
    errors = []
    talk.receive(frame(b"rubbish"))
    for data in (b"", frame(encode(Ready(1))), b""):
        with pytest.raises(RemoteProtocolError) as caught:
            talk.next_message()
        errors.append(caught.value)
        talk.receive(data)
    assert errors[0] is errors[1] is errors[2]


def test_the_conversations_limit_is_the_frames_limit_on_both_sides() -> None:
    talk = Conversation(limit=200)
    hear(talk, Ready(1))
    with pytest.raises(LocalProtocolError, match="over the limit of 200"):
        talk.send(OpenState(STATE, "x" * 300, EMPTY, EMPTY))
    assert talk.phase(STATE) is Phase.ABSENT
    talk.receive((201).to_bytes(4, "big"))
    with pytest.raises(RemoteProtocolError, match="over the limit of 200"):
        talk.next_message()


# ------------------------------------------------------------------------------------------------------------ our own mistakes


@pytest.mark.parametrize(
    ("phase", "message", "why"),
    [
        (Phase.WAITING, Resume(STATE, [Answer(1), Answer(1)]), "do not fit the open effects"),
        (Phase.WAITING, Resume(STATE, [Answer(2)]), "do not fit the open effects"),
        (Phase.WAITING, Resume(STATE, [], [Invocation(1, 1), Invocation(1, 1)]), "invocation 1 does not count up"),
        (Phase.WAITING, Resume(STATE, [], [Invocation(2, 1), Invocation(1, 1)]), "invocation 1 does not count up"),
        (Phase.WAITING, Resume(STATE, [], [Invocation(0, 1)]), "invocation 0 does not count up"),
        (Phase.RUNNING, Begin(STATE, "x", "cell[2]"), "'begin' is not legal while a state is running"),
        (Phase.WAITING, Begin(STATE, "x", "cell[2]"), "'begin' is not legal while a state is waiting"),
        (Phase.IDLE, Resume(STATE), "'resume' is not legal while a state is idle"),
        (Phase.IDLE, OpenState(STATE, "lua", EMPTY, EMPTY), "'open' is not legal"),
        (Phase.IDLE, Begin(8, "x", "cell[2]"), "'begin' is not legal while a state is absent"),
        (Phase.RUNNING, CloseState(STATE), "'close' is not legal while a state is running"),
    ],
)
def test_a_mistake_of_ours_is_refused_and_harms_nothing(phase: Phase, message: HostMessage, why: str) -> None:
    talk = at(phase)
    with pytest.raises(LocalProtocolError, match=why):
        talk.send(message)
    assert talk.phase(STATE) is phase
    assert talk.phase(8) is Phase.ABSENT
    finish_from(talk, phase)
    assert talk.phase(STATE) is Phase.IDLE


def finish_from(talk: Conversation, phase: Phase) -> None:
    """The rest of a cell, from any phase on."""
    if phase is Phase.IDLE:
        happen(talk, Event.BEGIN)
    if phase is Phase.WAITING:
        happen(talk, Event.RESUME)
    happen(talk, Event.FINISHED)


def test_an_effect_is_answered_only_once() -> None:
    talk = running_after((suspended(1, 2), Resume(STATE, [Answer(1)])))
    hear(talk, suspended())
    with pytest.raises(LocalProtocolError, match=r"answers \[1\] do not fit the open effects \[2\]"):
        talk.send(Resume(STATE, [Answer(1)]))
    talk.send(Resume(STATE, [Answer(2)]))


def test_an_abandoned_effect_is_not_answered() -> None:
    talk = running_after((suspended(1, 2), Resume(STATE, [Answer(1)])))
    hear(talk, suspended(3, abandoned=(2,)))
    with pytest.raises(LocalProtocolError, match="do not fit"):
        talk.send(Resume(STATE, [Answer(2)]))


def test_nothing_is_sent_before_the_worker_is_ready() -> None:
    talk = Conversation()
    with pytest.raises(LocalProtocolError, match="not ready yet"):
        talk.send(OpenState(STATE, "lua", EMPTY, EMPTY))
    hear(talk, Ready(1))
    talk.send(OpenState(STATE, "lua", EMPTY, EMPTY))


def test_nothing_is_sent_after_the_end() -> None:
    talk = at(Phase.IDLE)
    talk.receive(b"")
    with pytest.raises(LocalProtocolError, match="over"):
        talk.send(Begin(STATE, "x", "cell[2]"))
    assert talk.next_message() is END


def test_what_is_sent_is_what_the_worker_reads() -> None:
    talk = at(Phase.WAITING)
    message = Resume(STATE, [Answer(1, msgspec.Raw(b'{"a":[1,"\xc3\xa9"]}'))], [Invocation(1, 4, msgspec.Raw(b"[1]"))])
    data = talk.send(message)
    assert decode_from_host(data[4:]) == message


def test_a_fault_of_any_length_comes_clipped_and_the_worker_lives() -> None:
    talk = at(Phase.RUNNING)
    giant = Fault("script", "x" * 1_000_000, "N" * 10_000, [Place("c" * 5_000, 1, 1, "f" * 5_000)] * 1_000)
    heard = hear(talk, Stepped(STATE, Failed(giant)))
    assert isinstance(heard, Stepped)
    assert isinstance(heard.step, Failed)
    fault = heard.step.fault
    assert fault.message.endswith("... (1000000 characters in all)")
    assert len(encode(heard)) < 300_000
    assert (len(fault.name), len(fault.frames), len(fault.frames[0].function)) == (256, 200, 256)
    assert talk.phase(STATE) is Phase.IDLE


def test_a_fault_that_a_function_raised_is_clipped_too() -> None:
    talk = at(Phase.RUNNING)
    hear(talk, suspended(1))
    talk.send(Resume(STATE, [], [Invocation(1, 9)]))
    heard = hear(talk, Stepped(STATE, Suspended([], [Returned(1, fault=Fault("script", "x" * 1_000_000))])))
    assert len(encode(heard)) < 100_000  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "message", [Opened(STATE, Fault("internal", "x" * 1_000_000)), Reply(STATE, fault=Fault("script", "x" * 1_000_000))]
)
def test_the_fault_of_a_refusal_is_clipped_too(message: Opened | Reply) -> None:
    heard = hear(at(Phase.OPENING if isinstance(message, Opened) else Phase.ASKED_IDLE), message)
    assert isinstance(heard, (Opened, Reply))
    assert heard.fault is not None
    assert heard.fault.message.endswith("... (1000000 characters in all)")


def test_more_calls_that_return_in_one_step_than_an_honest_worker_has_are_a_breach() -> None:
    many = [Returned(number) for number in range(1, MAX_RETURNED + 2)]
    with pytest.raises(RemoteProtocolError, match=f"more than {MAX_RETURNED} calls return"):
        clipped(Stepped(STATE, Suspended([], many)))


@pytest.mark.parametrize("effect", [Effect(1, "b" * 257, "m"), Effect(1, "b", "m" * 257)])
def test_a_name_longer_than_any_in_a_catalogue_is_a_breach(effect: Effect) -> None:
    with pytest.raises(RemoteProtocolError, match="not a message of the protocol"):
        hear(at(Phase.RUNNING), Stepped(STATE, Suspended([effect])))


@pytest.mark.parametrize("count", [-1, 2**53 + 1, 2**80])
def test_a_count_of_instructions_that_cannot_be_one_is_a_breach(count: int) -> None:
    text = encode(Stepped(STATE, Finished(instructions=7))).replace(b'"instructions":7', f'"instructions":{count}'.encode())
    with pytest.raises(RemoteProtocolError, match="not a message of the protocol"):
        decode_from_worker(text)


def lingers(*effects: int, open_: Sequence[int], **more: Any) -> Stepped:
    asked = [Effect(number, "timer", "sleep") for number in effects]
    return Stepped(STATE, Finished(background=Background(asked, open=list(open_), **more)))


def test_effects_of_background_work_stay_open_after_its_cell() -> None:
    talk = at(Phase.WAITING)
    talk.send(Resume(STATE))
    hear(talk, lingers(2, open_=[2]))
    assert talk.open_effects(STATE) == {2}, "effect 1 belonged to the cell"
    assert talk.lively
    talk.send(Resume(STATE, [Answer(2)]))
    hear(talk, Stepped(STATE, Finished()))
    assert talk.phase(STATE) is Phase.IDLE
    assert not talk.lively


def test_background_work_without_an_open_effect_is_over() -> None:
    talk = at(Phase.RUNNING)
    hear(talk, lingers(open_=[], failed=[Fault("script", "boo")]))
    assert talk.phase(STATE) is Phase.IDLE


def test_background_work_lives_on_beside_the_next_cell() -> None:
    talk = at(Phase.LINGERING)
    talk.send(Begin(STATE, "return 2", "cell[2]"))
    hear(talk, Stepped(STATE, Suspended([Effect(2, "llm", "chat")])))
    talk.send(Resume(STATE, [Answer(1), Answer(2)]))
    hear(talk, Stepped(STATE, Finished()))
    assert talk.open_effects(STATE) == frozenset()


@pytest.mark.parametrize(
    ("step", "match"),
    [
        (lingers(open_=[9]), "unknown effect"),
        (lingers(1, open_=[]), "nobody waits for"),
        (lingers(0, open_=[0]), "does not count up"),
        (lingers(1, open_=[1], abandoned=[5]), "abandons the unknown"),
        (lingers(1, open_=[1], returned=[Returned(3)]), "unknown invocation"),
    ],
)
def test_background_work_with_wrong_ids_breaks_the_conversation(step: Stepped, match: str) -> None:
    with pytest.raises(RemoteProtocolError, match=match):
        hear(at(Phase.RUNNING), step)


def test_names_and_faults_of_background_work_are_clipped() -> None:
    heard = hear(at(Phase.RUNNING), lingers(1, open_=[1], tasks=["x" * 10_000], failed=[Fault("script", "y" * 1_000_000)]))
    assert isinstance(heard, Stepped)
    assert isinstance(heard.step, Finished)
    assert heard.step.background is not None
    assert len(heard.step.background.tasks[0]) == 256
    assert len(heard.step.background.failed[0].message) < 70_000
