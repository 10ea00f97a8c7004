"""Records on the output pipe: what scripts print, live, outside the step protocol.

A record is `state` (4 bytes, little endian), `stream` (1 byte: 1 stdout, 2 stderr), `length` (4 bytes, little endian), then the text.
Lua writes them itself with string.pack("<I4I1s4"), so the order of fields is part of the Lua prelude too.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from ..errors import RemoteProtocolError

MAX_RECORD_BYTES = 16 * 1024 * 1024
STDOUT, STDERR = 1, 2
_HEADER = struct.Struct("<IBI")


class Output(NamedTuple):
    state: int
    stream: str  # "stdout" | "stderr"
    text: str


def record(state: int, stream: int, text: bytes) -> bytes:
    return _HEADER.pack(state, stream, len(text)) + text


class OutputReader:
    """Turns pipe bytes into records; anything malformed is a RemoteProtocolError."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Output]:
        self._buffer += data
        records, at = [], 0
        while len(self._buffer) - at >= _HEADER.size:
            state, stream, length = _HEADER.unpack_from(self._buffer, at)
            if length > MAX_RECORD_BYTES or stream not in (STDOUT, STDERR):
                raise RemoteProtocolError("malformed output record")
            end = at + _HEADER.size + length
            if len(self._buffer) < end:
                break
            text = bytes(self._buffer[at + _HEADER.size : end]).decode("utf-8", "replace")
            records.append(Output(state, "stdout" if stream == STDOUT else "stderr", text))
            at = end
        del self._buffer[:at]
        return records
