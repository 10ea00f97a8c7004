"""Conversations: closed, checked, with ids of their own, and the same after a way through the library."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmspell_kernel.services.agents.conversation import Conversation
from llmspell_kernel.services.agents.messages import STOPPED, Call, CallIds, Message, check, closed
from llmspell_kernel.services.agents.translation import from_library, to_library

USER, ANSWER = Message("user", "u"), Message("assistant", "a")
ASKS = Message("assistant", "", [Call("1", "x"), Call("2", "y")])
A, B = ("a", "lua"), ("b", "lua")


def test_calls_without_a_result_get_one_in_their_place() -> None:
    last = Message("assistant", "", [Call("3", "x")])
    got = closed([USER, ASKS, Message("tool", "r", tool_call_id="2", name="y"), USER, last], {"3": "late"})
    assert [(message.role, message.content) for message in got] == [
        ("user", "u"),
        ("assistant", ""),
        ("tool", "r"),
        ("tool", STOPPED),
        ("user", "u"),
        ("assistant", ""),
        ("tool", "late"),
    ]
    check(got)


def test_ids_are_the_models_own_where_it_has_them_and_count_up_where_not() -> None:
    ids = CallIds([ASKS])
    assert [ids.own(asked) for asked in ("mine", "mine", "", None, 5, "x" * 200, "1")] == [
        "mine",
        "call_4",
        "call_5",
        "call_6",
        "call_7",
        "call_8",
        "call_9",
    ]


calls = st.lists(st.builds(Call, st.just(""), st.sampled_from(["x", "y"]), st.one_of(st.just({"a": 1}), st.text())), max_size=3)
turns = st.lists(
    st.one_of(st.builds(Message, st.just("user"), st.text(min_size=1)), st.builds(Message, st.just("assistant"), st.text(), calls))
)


@given(turns)
def test_a_conversation_is_the_same_after_the_library_had_it(messages: list[Message]) -> None:
    ids = CallIds([])
    named = [
        message
        if not message.tool_calls
        else Message(message.role, message.content, [Call(ids.own(""), call.name, call.arguments) for call in message.tool_calls])
        for message in messages
    ]
    whole = closed(named)
    assert from_library(to_library(whole)) == whole


def test_turns_of_other_states_stand_where_they_were_when_the_owner_comes_back() -> None:
    first = Conversation(A)
    for caller, text in ((B, "b0"), (A, "a1"), (B, "b1"), (B, "b2"), (A, "a2"), (B, "b3")):
        first.keep(caller, False, [*first.messages, Message("user", text)])
    again = Conversation(A, earlier=first)
    for text in ("a1", "a2"):
        again.keep(A, True, [*again.before(A, True), Message("user", text)])
    assert [message.content for message in again.messages] == ["b0", "a1", "b1", "b2", "a2", "b3"]


def test_another_state_that_comes_back_sees_what_was_then_and_adds_nothing() -> None:
    one = Conversation(A)
    for caller, text in ((A, "a1"), (B, "b1"), (A, "a2"), (B, "b2")):
        one.keep(caller, False, [*one.messages, Message("user", text)])
    for _ in range(2):  # it may be lost more than once
        for length in (1, 3):
            seen = one.before(B, True)
            one.keep(B, True, [*seen, Message("user", "again")])
            assert len(seen) == length
    assert len(one.messages) == 4
