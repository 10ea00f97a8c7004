"""Limits of a state and a cell.  Every default of the system stands here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..amounts import size
from ..errors import ConfigError, nearest

MiB = 1024 * 1024


class Limits(NamedTuple):
    """Script time is the engine's own running time; total time also counts waiting for effects."""

    script_time_s: float
    """How long the engine itself may run in one cell; waiting for a model does not count."""
    total_time_s: float
    """How long one cell may take, waiting included."""
    memory_bytes: int
    """How much memory a state may use."""
    output_bytes: int
    """How much one cell may print and show."""
    effects: int
    """How many calls of bridges one cell may make."""
    value_bytes: int
    """How large one value may be that crosses between script and host; many small objects count more than their text."""
    resources: int = 100
    """How many streams and the like a state may hold open."""
    instructions: int = 12_000_000_000
    """How many instructions the engine may run in one cell; JavaScript counts calls and jumps, one instruction each."""
    effects_per_s: float = 50_000
    """How many calls of bridges a state may make each second; faster ones are held back."""
    calls_in_flight: int = 2_000
    """How many calls of bridges may wait for their answers at once."""
    call_bytes: int = 24 * MiB
    """How large the arguments of those calls may be in all; they count as values do."""
    tasks: int = 10_000
    """How many coroutines and tasks that have not ended a state may hold."""
    stack_bytes: int = 4 * MiB
    """How deep JavaScript calls may be nested; some 2,400 calls take 4 MB.  Lua's calls are bounded by Lua itself."""
    history_bytes: int = 32 * MiB
    """How much is kept of a state's cells and their answers, to restore it; one that outgrows it goes on, and cannot be restored."""
    restore_s: float = 10.0
    """How long the cells of a lost state may run again."""
    stop_grace_s: float = 0.1
    """How long a soft stop may take before the worker is killed."""
    startup_s: float = 10.0
    """How long a worker may take to say that it is ready, and then to open a state."""
    end_s: float = 2.0
    """How long a cell waits at its end for bridges that were told to stop."""
    bridge_open_s: float = 10.0
    """How long a bridge may take to open."""
    bridge_close_s: float = 3.0
    """How long a bridge or a resource may take to close, and the calls of a removed bridge to end."""
    threads: int = 64
    """How many plain Python functions may run at once for scripts, in the whole process: nothing can stop them."""

    @property
    def data_bytes(self) -> int:
        """How far a worker may grow for a state: a wide backstop behind the engine's own limit.

        Measured: a full state grows its worker by 1.25 times its memory; a value that just fits a Lua state of 128 MB takes 350 MB more while
        it crosses, and the text of one of 16 MB comes in four copies.
        """
        return 4 * self.memory_bytes + 8 * self.value_bytes + 64 * MiB


_STANDARD = Limits(20, 900, 128 * MiB, 5 * MiB, 10_000, 16 * MiB, 100)
PRESETS: dict[str, Limits] = {
    "minimal": Limits(60, 3600, 256 * MiB, 10 * MiB, 100_000, 32 * MiB, 1_000)._replace(
        instructions=40_000_000_000,
        effects_per_s=100_000,
        calls_in_flight=10_000,
        call_bytes=48 * MiB,
        tasks=50_000,
        history_bytes=64 * MiB,
    ),
    "standard": _STANDARD,
    "strict": Limits(5, 120, 64 * MiB, 1 * MiB, 1_000, 4 * MiB, 20)._replace(
        instructions=3_000_000_000,
        effects_per_s=10_000,
        calls_in_flight=200,
        call_bytes=8 * MiB,
        tasks=1_000,
        stack_bytes=2 * MiB,
        history_bytes=8 * MiB,
    ),
}
"""Instructions are more than any loop runs in the script time: the tightest, in JavaScript, jumps once in two nanoseconds."""
_MET = {
    "script_time_s": "the script ran for more than its {:g} s",
    "total_time_s": "the cell took more than its {:g} s in all",
    "memory_bytes": "the state needs more than its {} of memory",
    "effects": "the cell made more than its {:,.0f} calls of bridges",
    "instructions": "the cell ran more than its {:,.0f} instructions",
    "calls_in_flight": "more than {:,.0f} calls wait for their answers at once; wait for some before you begin others",
    "call_bytes": "the calls that wait for their answers have arguments of more than {}; wait for some before you begin others",
    "tasks": "the state holds more than {:,.0f} coroutines and tasks that have not ended; let some end before you begin others",
}
"""What is said of a cell that met one of these: they end it."""


def narrower(one: Limits, other: Limits) -> Limits:
    """Of each limit the lower."""
    return Limits(*map(min, one, other))  # type: ignore[arg-type]  # an int where both are


def told(limit: str, value: float) -> str:
    """What happened, of a cell that met a limit."""
    amount: str | float = size(value) if limit.endswith("_bytes") else value
    return (
        _MET[limit].format(amount)
        if limit in _MET
        else f"the limit {limit} ({amount if isinstance(amount, str) else f'{amount:,.0f}'}) was met"
    )


def raising(limit: str) -> str:
    """How the user sets a limit higher; "" for what is none of ours."""
    key = f"limits.{limit}"
    return f"raise it with %llmspell config {key}=... (in a shell: --set {key}=...)" if limit in Limits._fields else ""


def limits_of(preset: str, changes: Mapping[str, Any]) -> Limits:
    """A preset with some of its limits changed.  Raises ConfigError for a name there is not."""
    if preset not in PRESETS:
        raise ConfigError(f"there is no preset '{preset}'{nearest(preset, list(PRESETS))}", key="preset")
    for name in changes:
        if name not in Limits._fields:
            raise ConfigError(f"there is no limit '{name}'{nearest(name, Limits._fields)}", key=f"limits.{name}")
    return PRESETS[preset]._replace(**changes)
