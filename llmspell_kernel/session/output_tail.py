"""The end of what a cell printed over its limit: a long run's last lines are mostly the ones that matter."""

from __future__ import annotations

from collections import deque

TAIL_BYTES = 8 * 1024
"""Enough for some hundred lines, and nothing beside the limit itself."""


class OutputTail:
    """Keeps the last of what is added: a tenth of the limit, at most TAIL_BYTES."""

    def __init__(self, output_bytes: int) -> None:
        self._keep = min(TAIL_BYTES, output_bytes // 10)
        self._pieces: deque[tuple[str, bytes]] = deque()
        self._kept = 0
        self.left_out = 0
        """Bytes that were added and are gone."""

    def add(self, stream: str, data: bytes) -> None:
        self.left_out += max(0, len(data) - self._keep)
        if data := data[max(0, len(data) - self._keep) :]:
            self._pieces.append((stream, data))
            self._kept += len(data)
        while self._kept > self._keep:
            of, first = self._pieces.popleft()
            gone = min(len(first), self._kept - self._keep)
            self._kept -= gone
            self.left_out += gone
            if rest := first[gone:]:
                self._pieces.appendleft((of, rest))

    def take(self) -> list[tuple[str, str]]:
        """What is kept, by stream; where something before it is gone, from the beginning of a line on, if there is one."""
        pieces, self._pieces, self._kept = list(self._pieces), deque(), 0
        if self.left_out and pieces:
            (stream, first), *rest = pieces
            line = first.find(b"\n") + 1
            if 0 < line < len(first) or (line and rest):
                self.left_out += line
                pieces = [(stream, first[line:]), *rest]
        return [(stream, data.decode("utf-8", "ignore")) for stream, data in pieces if data]
