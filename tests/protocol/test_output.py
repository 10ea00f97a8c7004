"""Output records: the same whatever the pieces, and anything malformed refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_kernel.errors import RemoteProtocolError
from llmspell_kernel.protocol.output import MAX_RECORD_BYTES, STDERR, STDOUT, Output, OutputReader, record


def test_records_fed_byte_by_byte_are_the_records_fed_whole() -> None:
    data = record(1, STDOUT, b"hello\n") + record(2, STDERR, b"") + record(1, STDOUT, "é\0".encode())
    expected = [Output(1, "stdout", "hello\n"), Output(2, "stderr", ""), Output(1, "stdout", "é\0")]
    assert OutputReader().feed(data) == expected
    reader = OutputReader()
    assert [found for at in range(len(data)) for found in reader.feed(data[at : at + 1])] == expected


def test_text_that_is_not_utf8_is_shown_with_replacement_characters() -> None:
    assert OutputReader().feed(record(1, STDOUT, b"a\xff\xfeb")) == [Output(1, "stdout", "a\ufffd\ufffdb")]


@pytest.mark.parametrize("stream", [0, 3, 255])
def test_an_unknown_stream_is_refused(stream: int) -> None:
    with pytest.raises(RemoteProtocolError, match="malformed output record"):
        OutputReader().feed(struct.pack("<IBI", 1, stream, 1) + b"x")


def test_a_record_too_long_is_refused_from_its_header_alone() -> None:
    with pytest.raises(RemoteProtocolError, match="malformed output record"):
        OutputReader().feed(struct.pack("<IBI", 1, STDOUT, MAX_RECORD_BYTES + 1))


def test_a_header_in_the_making_waits_for_the_rest() -> None:
    reader, data = OutputReader(), record(3, STDOUT, b"abc")
    assert reader.feed(data[:8]) == []
    assert reader.feed(data[8:11]) == []
    assert reader.feed(data[11:]) == [Output(3, "stdout", "abc")]


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_whatever_comes_is_records_or_a_remote_protocol_error(pieces: list[bytes]) -> None:
    reader = OutputReader()
    try:
        for piece in pieces:
            assert all(isinstance(found, Output) for found in reader.feed(piece))
    except RemoteProtocolError:
        pass
