"""Unpacks the body of an answer in bounded pieces.

Rules
- Never more than PIECE bytes come out of one step, whatever went in: 64 KiB on the wire can be 64 MB.  Whoever reads counts what came out.
- One coding, of those that were asked for; several on top of each other are refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from llmspell_kernel.errors import BridgeError

PIECE = 64 * 1024
ACCEPTED = "gzip, deflate"


class Plain:
    """A body that is not packed."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def end(self) -> None:
        pass


class Unpacker:
    """gzip (also several members behind each other) and deflate, with or without the frame of zlib."""

    def __init__(self, *, bare_allowed: bool) -> None:
        self._engine = zlib.decompressobj(47)  # 32: gzip or zlib, by what the data begin with; 15: the largest window
        self._bare_allowed = bare_allowed
        self._begun = self._anything = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            self._anything = True
            if self._engine.eof:  # the next member; what is no member is told of by its first bytes
                self._engine = zlib.decompressobj(47)
            yield from filter(None, [self._step(data)])
            data = self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail

    def end(self) -> None:
        if self._anything and not self._engine.eof:
            raise BridgeError("the answer was cut off in the middle of its packed body", retryable=True, code="connection_lost")

    def _step(self, data: bytes) -> bytes:
        begun, self._begun = self._begun, True
        try:
            return self._engine.decompress(data, PIECE)
        except zlib.error as error:
            if begun or not self._bare_allowed:
                raise BridgeError("the body of the answer is not packed as its head says", code="bad_answer") from error
        self._engine = zlib.decompressobj(-15)
        return self._step(data)


def unpacker(codings: str) -> Plain | Unpacker:
    """For the text of a Content-Encoding header.  Raises BridgeError for a coding that was not asked for."""
    named = [coding for part in codings.lower().split(",") if (coding := part.strip()) not in ("", "identity")]
    match named:
        case []:
            return Plain()
        case ["gzip" | "x-gzip"]:
            return Unpacker(bare_allowed=False)
        case ["deflate"]:
            return Unpacker(bare_allowed=True)
    told = ", ".join(named)[:60]
    raise BridgeError(f"the answer is packed as '{told}', which was not asked for; only one of {ACCEPTED} can be read", code="bad_answer")
