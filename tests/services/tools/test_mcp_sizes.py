"""How large the messages of MCP servers may be."""

from __future__ import annotations

import pytest

from llmspell_kernel.services.tools.mcp_sizes import MAX_MESSAGE_BYTES, EventSizes, TooLarge, check_message

FULL = b"{}," * 100_000
"""Counts five megabytes."""


def added(*pieces: bytes) -> None:
    sizes = EventSizes()
    for piece in pieces:
        sizes.add(piece)


def test_a_message_is_its_text_or_what_it_holds() -> None:
    check_message(FULL)
    check_message(b'{"text": "' + FULL * 10 + b'"}')
    with pytest.raises(TooLarge, match="held so many objects"):
        check_message(FULL + FULL)
    with pytest.raises(TooLarge, match="more than 8,388,608 bytes"):
        check_message(b"x" * (MAX_MESSAGE_BYTES + 1))


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n"])
def test_each_event_of_a_stream_counts_alone(blank: bytes) -> None:
    event = b"event: message\ndata: " + FULL + blank
    added(*[event] * 4)
    added(*[bytes([byte]) for byte in blank.join([b"data: 1"] * 3)])
    added(b'data: {"text": "' + FULL * 10 + b'"}' + blank)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: " + FULL, FULL + b"\n"],
        [b"data: " + FULL + b"\n", b"data: " + FULL + b"\n"],
        [b"data: " + FULL + b"\r", b"\ndata: " + FULL + b"\r", b"\n"],
        [b': "\ndata: ' + FULL + FULL + b"\n"],
        [b': "\rdata: ' + FULL + FULL + b"\n"],
    ],
    ids=["in-pieces", "in-lines", "between-return-and-line-feed", "after-a-quote", "after-a-quote-and-a-return"],
)
def test_an_event_that_holds_too_much_is_refused_however_it_is_sent(pieces: list[bytes]) -> None:
    with pytest.raises(TooLarge, match="held so many objects"):
        added(*pieces)


def test_a_line_or_an_event_without_end_is_refused() -> None:
    with pytest.raises(TooLarge, match="more than 8,388,608 bytes"):
        added(*[b"x" * 1_000_000] * 9)
    with pytest.raises(TooLarge, match="more than 8,388,608 bytes"):
        added(*[b"x" * 1_000_000 + b"\n"] * 9)
