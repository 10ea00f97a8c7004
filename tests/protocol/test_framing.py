"""Frames: the same whatever the pieces they come in, and refused from the header alone where they are too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_kernel.errors import LocalProtocolError, RemoteProtocolError
from llmspell_kernel.protocol.framing import FrameReader, frame


def read_all(reader: FrameReader) -> list[bytes]:
    found = []
    while (payload := reader.next_frame()) is not None:
        found.append(payload)
    return found


@given(payloads=st.lists(st.binary(max_size=300), max_size=6), cuts=st.lists(st.integers(1, 40), min_size=1, max_size=10))
def test_pieces_of_any_size_give_the_same_frames_as_the_whole(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(frame, payloads))
    whole, pieces = FrameReader(), FrameReader()
    whole.feed(stream)
    got, at, turn = [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        pieces.feed(stream[at : at + size])
        got += read_all(pieces)
        at, turn = at + size, turn + 1
    assert got == read_all(whole) == payloads
    assert pieces.pending == whole.pending == 0


def test_a_frame_fed_byte_by_byte_appears_with_its_last_byte() -> None:
    reader, data = FrameReader(), frame(b"hello")
    for at in range(len(data) - 1):
        reader.feed(data[at : at + 1])
        assert reader.next_frame() is None
        assert reader.pending == at + 1
    reader.feed(data[-1:])
    assert reader.next_frame() == b"hello"


def test_the_limit_itself_passes_and_one_byte_more_does_not() -> None:
    reader = FrameReader(limit=10)
    reader.feed(frame(b"x" * 10))
    assert reader.next_frame() == b"x" * 10
    reader.feed((11).to_bytes(4, "big"))
    with pytest.raises(RemoteProtocolError, match="11 bytes is over the limit of 10 bytes"):
        reader.next_frame()


def test_a_frame_too_long_is_refused_from_its_header_before_any_of_its_body_came() -> None:
    reader = FrameReader()
    reader.feed(b"\xff\xff\xff\xff")
    assert reader.pending == 4
    with pytest.raises(RemoteProtocolError, match="4294967295 bytes"):
        reader.next_frame()


def test_what_we_write_is_held_to_the_same_limit() -> None:
    assert frame(b"x" * 10, limit=10) == b"\0\0\0\x0a" + b"x" * 10
    with pytest.raises(LocalProtocolError, match="11 bytes is over the limit of 10"):
        frame(b"x" * 11, limit=10)


def test_an_empty_frame_is_a_frame() -> None:
    reader = FrameReader()
    reader.feed(frame(b""))
    assert reader.next_frame() == b""
    assert reader.next_frame() is None
