"""Whatever a worker sends, the host gets a message or a RemoteProtocolError, and the breach stays."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llmspell_kernel.errors import RemoteProtocolError
from llmspell_kernel.protocol.conversation import END, Conversation
from llmspell_kernel.protocol.framing import frame
from llmspell_kernel.protocol.messages import Opened, Ready, Reply, Stepped, decode_from_worker, encode
from llmspell_kernel.protocol.steps import Effect, Failed, Fault, Place, Returned, Suspended
from llmspell_kernel.protocol.transitions import Phase

from .protocol_talk import RECEIVED, STATE, at

MESSAGES = [
    *RECEIVED.values(),
    Ready(1, {"lua": {"columns": False}}),
    Stepped(STATE, Suspended([Effect(2, "llm", "chat", target=4)], [Returned(1)], [1])),
    Stepped(STATE, Failed(Fault("script", "boo", "TypeError", [Place("cell[1]", 3, 1, "f")]))),
]
VALID = [encode(message) for message in MESSAGES]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""How many random ones `make fuzz` asks for; 0 = a short slice, always the same."""
FUZZ = settings(max_examples=EXAMPLES or 500, deadline=None, derandomize=not EXAMPLES, suppress_health_check=[HealthCheck.too_slow])


def survive(talk: Conversation, data: bytes) -> None:
    """Feeds everything, then the end of the stream; anything but a message, END or RemoteProtocolError is the test's failure."""
    for piece in (data, b""):
        talk.receive(piece)
        try:
            while (message := talk.next_message()) is not None and message is not END:
                assert isinstance(message, (Ready, Opened, Stepped, Reply))
        except RemoteProtocolError as first:
            with pytest.raises(RemoteProtocolError) as again:
                talk.next_message()
            assert again.value is first


@FUZZ
@given(st.binary(max_size=400), st.sampled_from([Phase.ABSENT, Phase.OPENING, Phase.RUNNING, Phase.ASKED_WAITING]))
def test_random_bytes_give_a_message_or_a_remote_protocol_error(data: bytes, phase: Phase) -> None:
    survive(at(phase), data)


@FUZZ
@given(st.binary(max_size=200))
@example(b"[" * 100_000)
@example(b'{"type":' * 50_000)
@example(b'{"type":"reply","state":1,"value":' + b"[" * 100_000)
@example(b'{"type":"reply","state":' + b"9" * 5_000 + b"}")
@example(b'{"type":"ready","pid":"\xff"}')
def test_random_payloads_give_a_message_or_a_remote_protocol_error(payload: bytes) -> None:
    survive(at(Phase.RUNNING), frame(payload))


@FUZZ
@given(st.integers(0, 2**32), st.sampled_from(VALID), st.sampled_from([Phase.OPENING, Phase.RUNNING, Phase.ASKED_IDLE]))
def test_mutated_frames_give_a_message_or_a_remote_protocol_error(seed: int, payload: bytes, phase: Phase) -> None:
    survive(at(phase), frame(mutated(payload, random.Random(seed))))


def mutated(payload: bytes, dice: random.Random) -> bytes:
    data = bytearray(payload)
    for _ in range(dice.randint(1, 6)):
        place = dice.randrange(len(data) + 1)
        match dice.randrange(4):
            case 0:
                data[place:place] = dice.choice([b'"', b"{", b"}", b"[", b"]", b",", b"null", b"true", b"-1", b"1e999", b"\xff", b"9" * 40])
            case 1:
                del data[place : place + dice.randint(1, 8)]
            case 2:
                other = dice.choice(VALID)
                start = dice.randrange(len(other))
                data[place:place] = other[start : start + dice.randint(1, 30)]
            case _:
                data[place : place + 1] = bytes([dice.randrange(256)])
    return bytes(data)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_of_a_worker_reads_back_as_it_was_written(message: Ready | Opened | Stepped | Reply) -> None:
    assert decode_from_worker(encode(message)) == message


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"{}",
        b'{"type":"begin","state":1,"code":"x","chunk":"y"}',  # a host's message is not a worker's
        b'{"type":"opened"}',
        b'{"type":"opened","state":"1"}',
        b'{"type":"opened","state":true}',
        b'{"type":"stepped","state":1,"step":{"type":"dance"}}',
        b'{"type":"stepped","state":1,"step":{"type":"failed"}}',
        b'{"type":"stepped","state":1,"step":{"type":"suspended","effects":[{"id":1}]}}',
        b'{"type":"reply","state":1,"value":}',
        b'{"type":"reply","state":1} {"type":"reply","state":1}',
    ],
)
def test_a_payload_off_the_schema_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not a message of the protocol"):
        decode_from_worker(payload)
