"""Where a cell's visible output goes: the kernel's cell, a terminal, or nowhere."""

from __future__ import annotations

from typing import Protocol

from ..values import Value


class Sink(Protocol):
    """Called on the session's event loop, in the order things happened."""

    def write(self, stream: str, text: str) -> None:
        """`stream` is "stdout" or "stderr"."""

    def display(self, value: Value, title: str) -> None: ...

    def clear(self) -> None: ...


class NullSink:
    def write(self, stream: str, text: str) -> None:
        pass

    def display(self, value: Value, title: str) -> None:
        pass

    def clear(self) -> None:
        pass
