"""Kills a session's real workers in the middle of their work, and says what the journal must hold whatever happened.

chaos = Chaos(session, seed=7)
chaos.at_effect(signal.SIGSEGV, at=3)     # or at_random_effect(signal.SIGKILL, of=20)
outcome = await session.run(code)
assert chaos.struck and not open_calls(session.recorder)
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterable

from llmspell_kernel.journal.events import AnyEvent, CallFailed, CallFinished, CallStarted, CellFinished, CellStarted
from llmspell_kernel.session import Session

SIGNALS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGSTOP, signal.SIGBUS, signal.SIGFPE)
"""The ways in which a process really ends or hangs."""


class Chaos:
    """Strikes the worker of the state whose effect it is, at the moment the effect begins: the script then waits for its answer.

    `seed` makes a run that found something happen again.
    """

    def __init__(self, session: Session, seed: int = 0) -> None:
        self._session = session
        self._random = random.Random(seed)  # noqa: S311  chooses a moment, guards nothing
        self._seen = 0
        self._at = 0
        self._signal = signal.SIGKILL
        self.struck: list[tuple[int, int]] = []
        """(pid, number of the effect), of each strike."""
        self._remove = session.recorder.listen(self._heard)

    def at_effect(self, number: signal.Signals, at: int = 1) -> None:
        """Sends that signal at the `at`-th effect from now."""
        self._signal, self._at, self._seen = number, at, 0

    def at_random_effect(self, number: signal.Signals, of: int) -> int:
        """Sends that signal at one of the next `of` effects; which one is returned."""
        self.at_effect(number, self._random.randint(1, of))
        return self._at

    def now(self, number: signal.Signals, engine: str, state: str = "main") -> int:
        """Sends that signal to a state's worker at once; its pid.  Raises KeyError for a state without one."""
        script = self._session.states.get((state, engine))
        worker = script.worker if script is not None else None
        if worker is None:
            raise KeyError(f"the {engine} state '{state}' has no worker")
        os.kill(worker.pid, number)
        self.struck.append((worker.pid, self._seen))
        return worker.pid

    def close(self) -> None:
        self._remove()

    def _heard(self, event: AnyEvent) -> None:
        if not isinstance(event, CallStarted):
            return
        self._seen += 1
        if self._seen == self._at:
            started = next(each for each in self._session.recorder.of_cell(event.cell) if isinstance(each, CellStarted))
            self.now(self._signal, started.engine, started.state)


def open_calls(events: Iterable[AnyEvent]) -> list[int]:
    """Calls that began and did not end, or ended more than once: none, once nothing runs any more."""
    ends: dict[int, int] = {}
    for event in events:
        if isinstance(event, CallStarted):
            ends[event.call] = 0
        elif isinstance(event, (CallFinished, CallFailed)):
            ends[event.call] = ends.get(event.call, 0) + 1
    return [call for call, count in ends.items() if count != 1]


def open_cells(events: Iterable[AnyEvent]) -> list[int]:
    """Cells that began and did not end, or ended more than once."""
    ends: dict[int, int] = {}
    for event in events:
        if isinstance(event, CellStarted):
            ends[event.cell] = 0
        elif isinstance(event, CellFinished):
            ends[event.cell] = ends.get(event.cell, 0) + 1
    return [cell for cell, count in ends.items() if count != 1]
