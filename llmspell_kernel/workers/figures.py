"""What a process costs, as the operating system counts it."""

from __future__ import annotations

import os
import resource
from typing import NamedTuple

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = resource.getpagesize()
_USER_TICKS, _SYSTEM_TICKS = 11, 12
"""Places behind the name in /proc/PID/stat; the name stands in parentheses, and may hold any character."""


class Figures(NamedTuple):
    memory_bytes: int
    """Resident; pages that it shares with other processes are counted too."""
    cpu_s: float


def memory_of(pid: int) -> int | None:
    """Its resident memory in bytes; None for a process that is gone."""
    try:
        return int(_read(f"/proc/{pid}/statm").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return None


def figures_of(pid: int) -> Figures | None:
    """None for a process that is gone."""
    memory_bytes = memory_of(pid)
    try:
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    except (OSError, IndexError):
        return None
    return None if memory_bytes is None else Figures(memory_bytes, ticks * _TICK_S)


def _read(path: str) -> bytes:
    """Without the layers of a file object: it is asked for after each cell of a shared worker."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(number, 4096)
    finally:
        os.close(number)
