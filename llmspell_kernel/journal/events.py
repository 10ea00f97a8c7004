"""The event types.  Times are Unix seconds; ids of cells and calls count up within a session.

They hold data alone and can be part of no cycle, so the garbage collector need not walk the journal (`gc=False`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

FORMAT = 1
"""Version of the written form."""


class Event(msgspec.Struct, frozen=True, tag=True, tag_field="event", gc=False):
    """`cell` is the id of the run (unique in a session), not the notebook's execution count."""

    cell: int
    time: float


class CellStarted(Event, frozen=True):
    engine: str
    state: str
    chunk: str
    code: str
    function: str = ""
    """The cell is a call of this global function from Python; `code` is then the JSON array of its arguments."""


class CellFinished(Event, frozen=True):
    """`script_time_s` is the time the engine itself ran, `output_bytes` what the script printed and showed, also over the limit."""

    status: Literal["ok", "error", "interrupted", "lost"]
    duration_s: float
    error: str = ""
    script_time_s: float = 0.0
    output_bytes: int = 0


class StateOpened(Event, frozen=True):
    """A state got its worker, in the cell that first needed it (0: outside any).

    `seed` and `entropy` are all that is not the script's own of what it draws: random numbers and unique ids come again from the same two.
    """

    engine: str
    state: str
    seed: int
    entropy: str


class InitStarted(Event, frozen=True):
    """The init script of its language begins in a fresh state, before the cell itself (0: outside any), and counts as part of it."""

    engine: str
    state: str
    chunk: str
    code: str


class CallStarted(Event, frozen=True):
    """An effect was allowed and goes to its bridge.

    `parent` is the call within which a host-called script function asked, or None; `target` the id of the resource whose method it is.
    """

    call: int
    bridge: str
    method: str
    arguments: list[Any]
    parent: int | None = None
    target: int | None = None


class CallChunk(Event, frozen=True):
    call: int
    text: str


INCOMPLETE = "incomplete"
"""The `finish_reason` of a CallUsage whose model did not come to its end."""


class CallUsage(Event, frozen=True):
    call: int
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = None
    attempts: int = 1
    finish_reason: str = ""


class Retried(Event, frozen=True):
    """An attempt of a call failed for a passing reason, `code` and `message`; after `wait_s` comes number `attempt`, of `attempts` at the most."""

    call: int
    attempt: int
    attempts: int
    wait_s: float
    code: str
    message: str


class BudgetWarned(Event, frozen=True):
    """So much of a budget is used that its user was told; `budget` is the key of the setting, the amounts are in its unit."""

    budget: str
    used: float
    limit: float


class BudgetRefused(Event, frozen=True):
    """A budget did not allow what a call asked for, and nothing was sent; as in BudgetWarned, with what is reserved counted as used."""

    call: int
    budget: str
    used: float
    limit: float


class CallFinished(Event, frozen=True):
    """`replayed`: the answer came from a cassette, and nothing was sent."""

    call: int
    value: Any
    duration_s: float
    replayed: bool = False


class CallFailed(Event, frozen=True):
    """`code` is the error's code in errors.py; `cancelled` when the script or user gave up waiting."""

    call: int
    code: str
    message: str
    duration_s: float
    retryable: bool = False
    cancelled: bool = False


class CallDenied(Event, frozen=True):
    """Policy or argument checking refused: the bridge was never reached.  `parent` as in CallStarted."""

    call: int
    bridge: str
    method: str
    arguments: list[Any]
    code: str
    message: str
    parent: int | None = None


class CallAsked(Event, frozen=True):
    """The user was asked about a call; one that they allowed goes on.  Of another CallDenied follows, or CallFailed where it had begun already.

    `what` is "" where the call as a whole was asked about, else the step of it.
    """

    call: int
    capability: str
    allowed: bool
    waited_s: float
    what: str = ""


class Logged(Event, frozen=True):
    level: str
    message: str
    fields: dict[str, Any]


class ResourceClosed(Event, frozen=True):
    """What the host kept for a script is gone: closed by it, at the end of its loop, with its cell, or with its state.

    A resource is opened by the CallFinished whose value is its reference.
    """

    state: str
    resource: int
    type: str
    why: Literal["closed", "exhausted", "dropped", "cell", "state", "bridge"]
    engine: str = ""


class WorkerWasLost(Event, frozen=True):
    state: str
    reason: str
    engine: str = ""


class StateRestored(Event, frozen=True):
    """A lost state came back: so many of its cells ran again.  `left_out` are [chunk, reason] of those that could not."""

    state: str
    cells: int
    duration_s: float
    left_out: list[list[str]] = []
    engine: str = ""


AnyEvent = (
    CellStarted
    | CellFinished
    | StateOpened
    | InitStarted
    | CallStarted
    | CallChunk
    | CallUsage
    | Retried
    | BudgetWarned
    | BudgetRefused
    | CallFinished
    | CallFailed
    | CallDenied
    | CallAsked
    | Logged
    | ResourceClosed
    | WorkerWasLost
    | StateRestored
)
