"""Frames on the control socket: four bytes of length (big endian), then the message.  The length is checked before a byte of it is kept."""

from __future__ import annotations

from ..errors import LocalProtocolError, RemoteProtocolError

MAX_FRAME_BYTES = 64 * 1024 * 1024
_HEADER = 4


def step_bytes(value_bytes: int) -> int:
    """How large a message of a worker may be whose states' values are limited to so much: two of the largest values, and what stands around them.

    A message of 64 MB can hold some ten million tiny objects, each of which costs the host time before it can be refused.
    """
    return min(MAX_FRAME_BYTES, 2 * value_bytes + 1024 * 1024)


def frame(payload: bytes, limit: int = MAX_FRAME_BYTES) -> bytes:
    if len(payload) > limit:
        raise LocalProtocolError(f"a message of {len(payload)} bytes is over the limit of {limit} bytes")
    return len(payload).to_bytes(_HEADER, "big") + payload


class FrameReader:
    """Turns received bytes, in whatever pieces they come, into frames."""

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def limit(self, limit: int) -> None:
        """Another limit, for frames that have not been looked at yet."""
        self._limit = limit

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_frame(self) -> bytes | None:
        if len(self._buffer) < _HEADER:
            return None
        length = int.from_bytes(self._buffer[:_HEADER], "big")
        if length > self._limit:
            raise RemoteProtocolError(f"a frame of {length} bytes is over the limit of {self._limit} bytes")
        end = _HEADER + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[_HEADER:end])
        del self._buffer[:end]
        return payload
