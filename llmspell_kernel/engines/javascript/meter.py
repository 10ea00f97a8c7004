"""What a state is told of its limits and of the time, and what it tells of them: numbers in bytes that the engine shares with us.

The prelude (prelude/meter.js) reads and writes them as numbers; no script gets hold of them.  So a limit costs no call across the border, and
one that the prelude finds met is seen by the interrupt handler, which alone can end a script that catches everything.

The engine polls after every so many calls and jumps, counted on from step to step.  What answers a question of the host would shift that count,
so it is put back afterwards (`Undisturbed`): the same steps are to show a script the same times, whatever is asked in between.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import NamedTuple

from ...protocol.steps import UNLIMITED, Allowance

POLL_COUNT = 10_000
"""Calls and jumps between two polls of the interrupt handler; fixed in the library."""
INSTRUCTIONS_A_POLL = POLL_COUNT
"""One for each: the tightest loop jumps in two nanoseconds, and counted with more would use up a preset's instructions long before its time."""
POLL_S = 0.000_1
"""What a poll adds to the time that clocks show: about what ten thousand calls or jumps take."""
MOST_QUESTION_POLLS = 2_000
"""While a question of the host is answered: a second or two."""
LIMITS = ("calls_in_flight", "call_bytes", "tasks")
"""Those that the prelude looks at, in the order of prelude/meter.js."""
_TIME, _MET, _USED, _POLLS, _FIRST = range(5)


class Met(NamedTuple):
    limit: str
    value: float
    used: float


class Meter:
    def __init__(self) -> None:
        self.numbers = (ctypes.c_double * (_FIRST + len(LIMITS)))()
        self._allowance = UNLIMITED
        self._polls = self._question_polls = 0
        self._counts = True
        self.allow(UNLIMITED)

    @property
    def instructions(self) -> int:
        """What the cell has run."""
        return self._polls * INSTRUCTIONS_A_POLL

    @property
    def met(self) -> Met | None:
        """The limit that stopped the script, if one did."""
        if which := int(self.numbers[_MET]):
            name = LIMITS[which - 1]
            return Met(name, getattr(self._allowance, name), self.numbers[_USED])
        if self.instructions > self._allowance.instructions:
            return Met("instructions", self._allowance.instructions, self.instructions)
        return None

    def allow(self, allowance: Allowance) -> None:
        self._allowance = allowance
        for at, name in enumerate(LIMITS, _FIRST):
            self.numbers[at] = getattr(allowance, name)

    def tell_time(self, time_s: float) -> None:
        """Times never go backwards."""
        self.numbers[_TIME] = max(self.numbers[_TIME], time_s * 1000)

    def renew(self) -> None:
        """What follows has a budget of its own."""
        self._polls = 0

    def clear(self) -> None:
        """What was met is told."""
        self.numbers[_MET] = 0

    def begin_question(self) -> None:
        """Until it ends, what runs answers the host: no cell pays for it."""
        self._counts, self._question_polls = False, 0

    def end_question(self) -> None:
        self._counts = True

    @property
    def asked_too_much(self) -> bool:
        """Would the answer to the host's question take too long?"""
        return self._question_polls > MOST_QUESTION_POLLS

    def note_poll(self) -> None:
        self.numbers[_POLLS] += 1

    def polled(self) -> bool:
        """The engine has run so much more: has it met a limit?"""
        if not self._counts:
            self._question_polls += 1
            return self.asked_too_much
        self._polls += 1
        self.numbers[_TIME] += POLL_S * 1000
        return bool(self.numbers[_MET]) or self.instructions > self._allowance.instructions


class Undisturbed:
    """A context in which what the engine runs is no cell's: it is not counted, and leaves no trace in the count of calls and jumps.

    `call` calls one of the hooks of prelude/meter.js.
    """

    def __init__(self, meter: Meter, call: Callable[..., bytes]) -> None:
        self._meter = meter
        self._call = call
        self._rounds = 0

    def __enter__(self) -> None:
        self._meter.begin_question()
        self._rounds = int(self._call("untilPoll"))

    def __exit__(self, *_: object) -> None:
        self._call("untilPoll")
        # the first call took one of the count, and each round one: POLL_COUNT now, rounds + 1 then
        more = POLL_COUNT - 2 - self._rounds
        if more > 0:
            self._call("spin", str(more))
        elif more == 0:
            self._call("pass")
        self._meter.end_question()
