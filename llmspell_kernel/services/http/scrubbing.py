"""Takes a secret out of what a server sends back, piece by piece: some answer with the very request they got."""

from __future__ import annotations

from collections.abc import Sequence


class Scrubber:
    """Replaces each of `values` by `word`; what may be the beginning of one is held back until more has come."""

    def __init__(self, values: Sequence[bytes], word: bytes) -> None:
        self._values = sorted(filter(None, values), key=len, reverse=True)
        self._word = word
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data, self._held = self._held + data, b""
        for value in self._values:
            data = data.replace(value, self._word)
        keep = max((_overlap(data, value) for value in self._values), default=0)
        if keep:
            data, self._held = data[:-keep], data[-keep:]
        return data

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def text(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value.decode(), self._word.decode())
        return text


def _overlap(data: bytes, value: bytes) -> int:
    """The length of the longest end of `data` with which `value` begins."""
    return next((size for size in range(min(len(value) - 1, len(data)), 0, -1) if data.endswith(value[:size])), 0)
