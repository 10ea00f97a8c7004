"""What an engine says: one step of a running script, and the answers it is resumed with.

Plain data that can be part of no cycle: the garbage collector need not look at it (`gc=False`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

EMPTY_LIST = msgspec.Raw(b"[]")
NULL = msgspec.Raw(b"null")
Name = Annotated[str, msgspec.Meta(max_length=256)]
"""Names of effects come from the catalogue, which has none this long: a worker that sends one is broken, so it is refused, not clipped."""


MOST = 2**53
"""No limit: a number that every language holds exactly."""
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]


class Place(msgspec.Struct, frozen=True, gc=False):
    """One frame of a script's stack, innermost first.  Lines and columns count from 1; 0 = the engine does not say."""

    chunk: str
    line: int = 0
    column: int = 0
    function: str = ""


class Fault(msgspec.Struct, frozen=True, gc=False):
    """An error as data.  `code` is one of errors.py's codes; `name` the language's own name (TypeError, SyntaxError).

    `capability` belongs to a denied effect; `limit`, `value` and `used` to one over a limit.
    """

    code: str
    message: str
    name: str = ""
    frames: list[Place] = []
    retryable: bool = False
    capability: str = ""
    limit: str = ""
    value: float = 0
    used: float = 0


class Effect(msgspec.Struct, frozen=True, gc=False):
    """A script asks the host.  `args` is a JSON array in the written form of values.py.

    `target` is the id of a resource when a method of a resource is asked for; `bridge` is then the resource's type.
    Ids count up within a state and are never used twice.
    """

    id: int
    bridge: Name
    method: Name
    args: msgspec.Raw = EMPTY_LIST
    target: int | None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The host's answer to one effect: a value, or the fault that the script may catch."""

    id: int
    value: msgspec.Raw = NULL
    fault: Fault | None = None


class Invocation(msgspec.Struct, frozen=True, gc=False):
    """The host calls a function of the script while its cell waits."""

    id: int
    callback: int
    args: msgspec.Raw = EMPTY_LIST


class Returned(msgspec.Struct, frozen=True, gc=False):
    """What a host-called function returned (`value` is its first result) or raised."""

    id: int
    value: msgspec.Raw = NULL
    fault: Fault | None = None


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """What a cell may use, as policy on the host says.  Who uses more is stopped; no script can catch that.

    The engine ends the cell with a fault of the code `limit`, whose `limit` is the field's name here and whose message is empty, as the host has
    the text; the state stays.
    """

    instructions: int = MOST
    """An engine that cannot count them may count something else that grows with them."""
    calls_in_flight: int = MOST
    """Calls of the host that wait for their answers, at once."""
    call_bytes: int = MOST
    """The text of their arguments, in all."""
    tasks: int = MOST
    """Coroutines and tasks that the state holds and that have not ended, as far as the language has such things."""


UNLIMITED = Allowance()


class Suspended(msgspec.Struct, frozen=True, gc=False, tag="suspended"):
    """The script waits.  `effects` are all those new since the last step, in the order they were asked.

    `abandoned` are effects nobody waits for any more (the losing side of a race): the host cancels them and must not answer.
    `instructions`, here and below, is what the cell has run of them up to now, 0 where the engine does not count.
    """

    effects: list[Effect] = []
    returned: list[Returned] = []
    abandoned: list[int] = []
    instructions: Count = 0


class Background(msgspec.Struct, frozen=True, gc=False):
    """What goes on although no cell runs: work that a script started with `async.background`.

    `effects`, `returned` and `abandoned` as in Suspended; `open` are the ids of all effects that this work waits for, the new ones included:
    while there are any, the host may resume the state without a cell.  `tasks` names what lives, `failed` are the errors that nobody caught.
    """

    effects: list[Effect] = []
    returned: list[Returned] = []
    abandoned: list[int] = []
    open: list[int] = []
    tasks: list[str] = []
    failed: list[Fault] = []


class Finished(msgspec.Struct, frozen=True, gc=False, tag="finished"):
    """The cell ended, or a slice of background work.  `values` is a JSON array of its results (Lua may have several; empty = no result)."""

    values: msgspec.Raw = EMPTY_LIST
    background: Background | None = None
    instructions: Count = 0


class Failed(msgspec.Struct, frozen=True, gc=False, tag="failed"):
    """The cell ended with an error.  The state stays usable."""

    fault: Fault
    background: Background | None = None
    instructions: Count = 0


Step = Suspended | Finished | Failed
QueryKind = Literal["members", "is_complete", "get", "set", "declare"]
