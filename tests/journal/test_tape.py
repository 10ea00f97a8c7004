"""Finding recorded answers: by call and arguments, equals in their order, and never by position."""

from __future__ import annotations

import msgspec
import pytest

from llmspell_kernel.errors import ValueCrossingError
from llmspell_kernel.journal.canonical import canonical, canonical_arguments, key_of
from llmspell_kernel.journal.cassette import Entry
from llmspell_kernel.journal.tape import Tape
from llmspell_kernel.values import MAX_DEPTH, loads


def entry(call: str, arguments: bytes, opener: str = "") -> Entry:
    return Entry(call, msgspec.Raw(arguments), opener=opener)


def test_equal_calls_are_answered_in_the_order_they_were_made_and_once() -> None:
    tape = Tape([entry("a.b", b"[1]"), entry("a.b", b"[2]"), entry("a.b", b"[1]")])
    assert [tape.take("a.b", b"[1]") for _ in range(3)] == [0, 2, None]


def test_only_what_may_be_taken_is_taken() -> None:
    tape = Tape([entry("a.b", b"[1]"), entry("a.b", b"[1]")])
    assert [tape.take("a.b", b"[1]", among={1}), tape.take("a.b", b"[1]", among={1}), tape.take("a.b", b"[1]")] == [1, None, 0]


def test_an_edited_call_leaves_the_answers_of_the_others_where_they_are() -> None:
    tape = Tape([entry("a.b", b"[1]"), entry("a.b", b"[2]"), entry("c.d", b"[]")])
    assert [tape.take("a.b", b"[9]"), tape.take("c.d", b"[]"), tape.take("a.b", b"[2]")] == [None, 2, 1]


def test_methods_of_two_streams_are_told_apart_by_who_opened_them() -> None:
    tape = Tape([entry("s.next", b"[]", "x:0"), entry("s.next", b"[]", "y:0")])
    assert (tape.take("s.next", b"[]", "y:0"), tape.take("s.next", b"[]", "y:0"), tape.take("s.next", b"[]", "x:0")) == (1, None, 0)


def test_a_name_is_the_key_and_the_number_among_its_equals() -> None:
    tape = Tape([entry("a.b", b"[1]"), entry("a.b", b"[2]"), entry("a.b", b"[1]")])
    key = key_of("a.b", b"[1]")
    assert [tape.name(0), tape.name(2)] == [f"{key}:0", f"{key}:1"] and not tape.name(1).startswith(key)


def test_a_missing_call_is_explained_by_the_nearest_and_the_difference() -> None:
    tape = Tape(
        [entry("llm.chat", b'["a poem about tea",{"max_tokens":5}]'), entry("llm.chat", b'["numbers"]'), entry("log.info", b'["x"]')]
    )
    told = tape.explain("llm.chat", b'["a poem about coffee",{"max_tokens":5}]')
    assert '- "a poem about tea"' in told and '+ "a poem about coffee"' in told and "numbers" not in told
    assert tape.explain("http.get", b"[]") == "no call of http.get is recorded; recorded are: llm.chat, log.info"
    tape.take("log.info", b'["x"]')
    assert tape.explain("log.info", b'["x"]') == "this call of log.info is recorded 1 times, and asked for once more"


def test_the_order_of_members_and_ids_of_one_run_make_no_other_key() -> None:
    one = canonical(b'[{"b": 1, "a": {"$": ["f", 7]}}, {"$": ["r", 3, "llm.stream"]}]')
    other = canonical(b'[{"a":{"$":["f",8]},"b":1},{"$":["r",4,"llm.stream"]}]')
    assert one == other == b'[{"a":{"$":["f"]},"b":1},{"$":["r","llm.stream"]}]'
    assert canonical(b'[{"$":["o",{"$":["f",7]}]}]') != canonical(b'[{"$":["o",{"$":["f",8]}]}]')


def nested(levels: int, leaf: bytes) -> bytes:
    return b"[" * levels + leaf + b"]" * levels


@pytest.mark.parametrize("leaf", [b'"text"', b'{"$":["b","AAAA"]}', b'{"$":["n","inf"]}', b'{"$":["f",7]}'])
def test_arguments_may_each_be_nested_as_deep_as_a_value(leaf: bytes) -> None:
    levels = MAX_DEPTH if leaf.startswith(b'"') else MAX_DEPTH - 1  # a tag is written as two more, and is none
    loads(nested(levels, leaf))
    canonical(nested(levels, leaf))
    canonical_arguments(nested(levels + 1, leaf))
    with pytest.raises(ValueCrossingError, match="nested deeper than 64 levels"):
        canonical_arguments(nested(MAX_DEPTH + 2, leaf))
