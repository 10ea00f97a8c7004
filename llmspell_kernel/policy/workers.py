"""How many worker processes a session has, how long each lives, and how long anyone waits for one: the table [workers]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .numbers import FromZero

MiB = 1024 * 1024


class WorkerPolicy(NamedTuple):
    """The defaults are a notebook's: each state has a process of its own, which lives as long as the state."""

    min: FromZero = 0
    """How many processes stay, also after a long time in which no script ran."""
    max: int = 64
    """How many processes there are at most, spares among them; a state for which there is none waits."""
    wait_s: float = 10.0
    """How long a state waits for its process before its cell fails."""
    spares: FromZero = 1
    """How many processes are kept ready for new states, and for those whose process had to be killed."""
    idle_s: float = 600.0
    """After how long without any script the spares end; the next cell starts them again."""
    states_per_worker: int = 1
    """How many states share a process: 1 in notebooks, so that what ends one takes no other with it; many in batches."""
    recycle_cells: int = 1_000
    """After how many cells a shared process takes no new state, and ends with its last one."""
    recycle_growth_bytes: int = 256 * MiB
    """After how much growth of its memory a shared process takes no new state."""
    recycle_after_limit: bool = True
    """A shared process takes no new state once a cell in it has met a limit."""
    ping_s: float = 60.0
    """How often a process whose states run nothing is asked whether it still answers."""
    query_s: float = 5.0
    """How long a process may take over a question.  No script code runs for one, so one that takes longer is broken, and is killed."""
    shutdown_s: float = 4.0
    """How long the end of a session may take before its processes are killed.  Jupyter waits 5 s for a kernel."""


TIGHTER: Mapping[str, str] = {
    "min": "lower",
    "max": "lower",
    "wait_s": "lower",
    "spares": "lower",
    "idle_s": "lower",
    "states_per_worker": "lower",
    "recycle_cells": "lower",
    "recycle_growth_bytes": "lower",
}
"""What a project's file may change, and in which direction."""
