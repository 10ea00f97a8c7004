"""Which message is legal when: the one table, per script state.

    ABSENT --open--> OPENING --opened--> IDLE --begin--> RUNNING --suspended--> WAITING --resume--> RUNNING
                        |                 |                 |                      |
                        +--refused--> ABSENT                +--finished|failed--> IDLE
    IDLE --query--> ASKED_IDLE --reply--> IDLE          WAITING --query--> ASKED_WAITING --reply--> WAITING
    IDLE | WAITING | LINGERING --close--> CLOSED

Work that outlives its cell (`async.background`) waits without one:

    RUNNING --lingers--> LINGERING --begin--> RUNNING
                         LINGERING --resume--> STIRRING --lingers--> LINGERING
                                               STIRRING --finished|failed--> IDLE
                         LINGERING --query--> ASKED_LINGERING --reply--> LINGERING

An interrupt is not a message: a running script reads nothing.
"""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    ABSENT = "absent"
    OPENING = "opening"
    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"
    ASKED_IDLE = "asked while idle"
    ASKED_WAITING = "asked while waiting"
    LINGERING = "lingering"
    STIRRING = "stirring"
    ASKED_LINGERING = "asked while lingering"
    CLOSED = "closed"


class Event(Enum):
    """A message, seen by the table: sent by the host, or received from the worker."""

    OPEN = "open"
    BEGIN = "begin"
    RESUME = "resume"
    QUERY = "query"
    CLOSE = "close"
    OPENED = "opened"
    REFUSED = "refused"
    SUSPENDED = "suspended"
    FINISHED = "finished"
    FAILED = "failed"
    REPLY = "reply"
    LINGERS = "lingers"
    """The cell finished or failed, and background work still waits for effects."""


IN_A_CELL = frozenset({Phase.RUNNING, Phase.WAITING, Phase.ASKED_WAITING})
LIVELY = IN_A_CELL | {Phase.LINGERING, Phase.STIRRING, Phase.ASKED_LINGERING}
"""Something of the script runs or waits: it can print, and it can be stopped."""
ASKED = frozenset({Phase.ASKED_IDLE, Phase.ASKED_WAITING, Phase.ASKED_LINGERING})
BY_HOST = frozenset({Event.OPEN, Event.BEGIN, Event.RESUME, Event.QUERY, Event.CLOSE})

TABLE: dict[tuple[Phase, Event], Phase] = {
    (Phase.ABSENT, Event.OPEN): Phase.OPENING,
    (Phase.OPENING, Event.OPENED): Phase.IDLE,
    (Phase.OPENING, Event.REFUSED): Phase.ABSENT,
    (Phase.IDLE, Event.BEGIN): Phase.RUNNING,
    (Phase.RUNNING, Event.SUSPENDED): Phase.WAITING,
    (Phase.RUNNING, Event.FINISHED): Phase.IDLE,
    (Phase.RUNNING, Event.FAILED): Phase.IDLE,
    (Phase.WAITING, Event.RESUME): Phase.RUNNING,
    (Phase.IDLE, Event.QUERY): Phase.ASKED_IDLE,
    (Phase.ASKED_IDLE, Event.REPLY): Phase.IDLE,
    (Phase.WAITING, Event.QUERY): Phase.ASKED_WAITING,
    (Phase.ASKED_WAITING, Event.REPLY): Phase.WAITING,
    (Phase.IDLE, Event.CLOSE): Phase.CLOSED,
    (Phase.WAITING, Event.CLOSE): Phase.CLOSED,
    (Phase.RUNNING, Event.LINGERS): Phase.LINGERING,
    (Phase.LINGERING, Event.BEGIN): Phase.RUNNING,
    (Phase.LINGERING, Event.RESUME): Phase.STIRRING,
    (Phase.STIRRING, Event.LINGERS): Phase.LINGERING,
    (Phase.STIRRING, Event.FINISHED): Phase.IDLE,
    (Phase.STIRRING, Event.FAILED): Phase.IDLE,
    (Phase.LINGERING, Event.QUERY): Phase.ASKED_LINGERING,
    (Phase.ASKED_LINGERING, Event.REPLY): Phase.LINGERING,
    (Phase.LINGERING, Event.CLOSE): Phase.CLOSED,
}
