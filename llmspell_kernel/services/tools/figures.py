"""How often tools were called, how often they failed, and how long they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class _Line:
    calls: int = 0
    failures: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0
    last_error: str = ""


class Figures:
    """Of one session."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def count(self, name: str, seconds: float, error: str = "") -> None:
        """`error` is the code of what it failed with."""
        line = self._lines.setdefault(name, _Line())
        line.calls += 1
        line.total_s += seconds
        line.longest_s = max(line.longest_s, seconds)
        if error:
            line.failures += 1
            line.last_error = error

    def names(self) -> Sequence[str]:
        return sorted(self._lines)

    def of(self, name: str) -> dict[str, Any]:
        line = self._lines.get(name, _Line())
        mean_s = line.total_s / line.calls if line.calls else 0.0
        return {
            "name": name,
            "calls": line.calls,
            "failures": line.failures,
            "last_error": line.last_error,
            "mean_ms": round(1000 * mean_s, 3),
            "longest_ms": round(1000 * line.longest_s, 3),
        }
