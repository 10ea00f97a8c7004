"""How large the messages of an MCP server may be: counted before anything is made of them.

8 MB of `{},` are 700 MB in the host, and reading them holds the event loop for seconds; so a message counts as its text or, where that is more, as
what its text holds.
"""

from __future__ import annotations

from llmspell_kernel.values import counted_bytes

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
LARGE_BYTES = 64 * 1024
"""Of text: reading it takes some milliseconds, and is done in a thread."""
TOO_LONG = f"a message had more than {MAX_MESSAGE_BYTES:,} bytes"
TOO_FULL = f"a message held so many objects, lists and strings that it counts more than {MAX_MESSAGE_BYTES:,} bytes"


class TooLarge(Exception):
    """A message that is not read; its text says why."""


def check_message(text: bytes) -> None:
    """Raises TooLarge."""
    _checked(len(text), text)


class EventSizes:
    """The size of each event in a stream of server-sent events, as the stream passes.

    Counted by line: no string of JSON goes on in the next line, so a quote in one that is no data cannot hide what stands in another.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._text_bytes = 0
        self._counted = 0

    def add(self, piece: bytes) -> None:
        """Raises TooLarge with the piece that makes an event so."""
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._line += part
            self._end_line(bytes(self._line))
            self._line.clear()
        self._line += rest
        if self._text_bytes + len(self._line) > MAX_MESSAGE_BYTES:
            raise TooLarge(TOO_LONG)

    def _end_line(self, line: bytes) -> None:
        if line in (b"", b"\r"):
            self._text_bytes = self._counted = 0
            return
        self._text_bytes += len(line)
        for part in line.split(b"\r"):  # which ends a line too
            self._counted = _checked(self._text_bytes, part, self._counted)


def _checked(text_bytes: int, text: bytes, already: int = 0) -> int:
    if text_bytes > MAX_MESSAGE_BYTES:
        raise TooLarge(TOO_LONG)
    counted = already + counted_bytes(text, MAX_MESSAGE_BYTES)
    if counted > MAX_MESSAGE_BYTES:
        raise TooLarge(TOO_FULL)
    return counted
