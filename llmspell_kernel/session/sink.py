"""Where a cell's visible output goes: the kernel's cell, a terminal, or nowhere."""

from __future__ import annotations

from typing import Protocol

from ..shown import Shown


class Sink(Protocol):
    """Called on the session's event loop, in the order things happened."""

    def write(self, stream: str, text: str) -> None:
        """`stream` is "stdout" or "stderr"."""

    def show(self, shown: Shown, null: str) -> int:
        """Shows it; `null` is the language's word for nothing.  The answer is how many bytes that takes in the output, once rendered."""

    def clear(self) -> None: ...


class NullSink:
    def write(self, stream: str, text: str) -> None:
        pass

    def show(self, shown: Shown, null: str) -> int:
        return 0

    def clear(self) -> None:
        pass


class KeptText:
    """Keeps what is printed; what would be shown has no place there."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, stream: str, text: str) -> None:
        self.text += text

    def show(self, shown: Shown, null: str) -> int:
        return 0

    def clear(self) -> None:
        self.text = ""
