"""Processes that the tests' own has started."""

from __future__ import annotations

import psutil


def command_of(process: psutil.Process) -> str:
    """Nothing of one that has ended, also where another test has not yet asked how."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""
