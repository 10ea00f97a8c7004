"""The text of a cassette: what is written is read again, and nothing damaged or hostile is ever played."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_kernel.errors import LoadError
from llmspell_kernel.journal import checked_lines
from llmspell_kernel.journal.canonical import canonical
from llmspell_kernel.journal.cassette import Entry, Failure, Used, header, line_of, read, text_of
from llmspell_kernel.journal.checked_lines import with_sum


def entry(call: str = "llm.chat", arguments: bytes = b'["hi"]', answer: bytes = b'"yes"', **more: Any) -> Entry:
    return Entry(call, msgspec.Raw(arguments), msgspec.Raw(answer), **more)


FULL = [
    entry(chunks=["y", "es"], used=Used("spell/echo", 1, 2, 0, 0.5, "stop")),
    entry("llm.stream", answer=b'{"$":["r","llm.stream"]}'),
    entry("llm.stream.next", b"[]", b'"piece"', opener="abc:0", after="abc:1"),
    entry("http.get", answer=b"null", failure=Failure("bridge", "no", "BridgeError", True)),
    entry("timer.sleep", b"[5]", given_up=True),
    entry("tools.call", invoked=[("", 0, msgspec.Raw(b'[1,"x"]'))]),
]


def lines(entries: list[Entry]) -> list[bytes]:
    return [line_of(one) for one in entries]


def entries_in(text: bytes, name: str) -> list[Entry]:
    return read(text, name).entries


def test_what_is_written_is_read_again() -> None:
    assert lines(entries_in(text_of(5.0, FULL), "x")) == lines(FULL)


@given(st.lists(st.tuples(st.sampled_from(["a.b", "c.d"]), st.lists(st.one_of(st.none(), st.text(), st.integers(-9, 9)))), max_size=5))
def test_any_calls_come_back_as_they_were(calls: list[tuple[str, list[Any]]]) -> None:
    entries = [entry(call, canonical(msgspec.json.encode(arguments))) for call, arguments in calls]
    assert lines(entries_in(text_of(5.0, entries), "x")) == lines(entries)


def test_a_lone_surrogate_is_written_as_its_escape_and_nothing_else_changes() -> None:
    odd = entry(chunks=["a\ud800b", "c"], failure=Failure("bridge", "no \udc80", "BridgeError"), used=Used("m\udfff"))
    [found] = entries_in(text_of(5.0, [odd]), "x")
    assert (found.chunks, found.failure, found.used) == (
        ["a\\ud800b", "c"],
        Failure("bridge", "no \\udc80", "BridgeError"),
        Used("m\\udfff"),
    )
    assert (bytes(found.arguments), bytes(found.answer)) == (b'["hi"]', b'"yes"')


def test_a_line_without_its_end_is_left_out_and_every_shorter_text_is_read_or_refused() -> None:
    text = text_of(5.0, FULL)
    ends = [at for at, byte in enumerate(text) if byte == 10]
    for cut in range(len(text)):
        whole = sum(end < cut for end in ends)
        if whole == 0:
            with pytest.raises(LoadError, match="no whole line"):
                read(text[:cut], "x")
        else:
            assert lines(entries_in(text[:cut], "x")) == lines(FULL)[: whole - 1]


def test_no_flipped_byte_is_ever_played_as_something_else() -> None:
    text, draw = text_of(5.0, FULL), random.Random(7)
    for at in range(len(text)):
        damaged = bytearray(text)
        damaged[at] ^= 1 << draw.randrange(8)
        try:
            found = lines(entries_in(bytes(damaged), "x"))
        except LoadError:
            continue
        assert found == lines(FULL)[: len(found)]  # only the end of the last line may go


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "has no whole line"),
        (b"\n", "line 1: does not have the checksum"),
        (b"{}\n", "line 1: does not have the checksum"),
        (with_sum(b'{"x":1}'), "line 1: is not a cassette"),
        (with_sum(b'{"llmspell_cassette":99,"clock_s":1.0}'), "line 1: has format 99, and this version reads up to 1"),
        (header(5.0) + with_sum(b'{"call":"a.b"}'), "line 2: is no recorded call: .*arguments"),
        (header(5.0) + with_sum(b'{"call":"a.b","arguments":[],"extra":1}'), "line 2: is no recorded call: .*extra"),
        (header(5.0) + with_sum(b'{"call":"a.b","arguments":{"b":1,"a":2}}'), "not in the form that they are written in"),
        (header(5.0) + with_sum(b'{"call":"a.b","arguments":[],"answer":' + b"[" * 70 + b"]" * 70 + b"}"), "nested deeper than 64"),
        (header(5.0) + with_sum(b'{"call":5,"arguments":[]}'), "line 2: is no recorded call"),
        (header(5.0) + with_sum(b'{"call":"\xff","arguments":[]}'), "line 2: is no recorded call"),
    ],
)
def test_what_is_no_cassette_is_told_with_its_line(text: bytes, said: str) -> None:
    with pytest.raises(LoadError, match=said):
        read(text, "x.cassette.jsonl")


def test_sizes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_lines, "MAX_LINES", 3)
    with pytest.raises(LoadError, match="more than 3 lines"):
        read(text_of(5.0, FULL), "x")
    monkeypatch.setattr(checked_lines, "MAX_BYTES", 100)
    with pytest.raises(LoadError, match="is it the right file"):
        read(text_of(5.0, FULL), "x")


def test_the_same_answers_give_the_same_bytes() -> None:
    assert text_of(5.0, FULL) == text_of(*read(text_of(5.0, FULL), "x"))
