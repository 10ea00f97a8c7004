"""Conversations: closed, checked, with ids of their own, and the same after a way through the library."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_kernel.errors import LimitError
from llmspell_kernel.services.agents.conversation import Conversation
from llmspell_kernel.services.agents.messages import (
    MAX_CHARS,
    MESSAGE_CHARS,
    STOPPED,
    Call,
    CallIds,
    Message,
    chars_of,
    check,
    check_size,
    closed,
)
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


def test_a_message_counts_all_of_its_texts_and_100_besides() -> None:
    assert chars_of([Message("user")] * 10) == 10 * MESSAGE_CHARS
    assert Message("tool", "r" * 10, tool_call_id="1" * 20, name="n" * 300).chars == MESSAGE_CHARS + 330
    assert Message("assistant", "", [Call("1", "x", "text")]).chars == 2 * MESSAGE_CHARS + 6


def test_arguments_of_many_small_lists_count_what_they_take() -> None:
    asks = Message("assistant", "", [Call("1", "x", {"a": [[] for _ in range(600_000)]})])
    assert len(msgspec.json.encode(asks)) < 2_000_000 and asks.chars > MAX_CHARS
    with pytest.raises(LimitError, match="16,000,000 is the most"):
        check_size([asks])


def test_a_conversation_counts_the_same_part_by_part_as_at_once() -> None:
    talk = Conversation(A, [USER])
    talk.keep(A, False, [USER, ANSWER, ASKS])
    assert talk.chars == chars_of(talk.messages) == chars_of([USER, ANSWER, ASKS])
    talk.keep(B, False, [ANSWER, ASKS])  # handed over by another agent
    assert talk.chars == chars_of(talk.messages) == chars_of([ANSWER, ASKS])
