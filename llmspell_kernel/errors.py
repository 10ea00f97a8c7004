"""The one tree of errors, split by what the reader can do about them.

Fields first, message second.  The message says what happened, what was expected and what to do next.  A fault in a script never shows our
Python frames: it carries its own `frames` (innermost first) instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple


class Frame(NamedTuple):
    """One place in a script: chunk is `cell[3]` or a file name; line and column count from 1, 0 where the engine does not say."""

    chunk: str
    line: int
    column: int = 0
    function: str = ""


class SpellError(Exception):
    """Root of every error this package raises on purpose.  `code` is what a script sees as `err.code`."""

    code = "error"
    retryable = False
    of_one_call = False
    """Is it the failure of one call alone, so that others of its kind may do better?  Of many that are made together, the others go on."""

    def __init__(self, message: str, *, frames: Sequence[Frame] = (), engine: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.frames = tuple(frames)
        self.engine = engine

    def __str__(self) -> str:
        return self.message


class ScriptError(SpellError):
    """The script is wrong: fix the script.  `name` is the language's own name for it (`TypeError`, `SyntaxError`), where it has one."""

    code = "script"

    def __init__(self, message: str, *, name: str = "", frames: Sequence[Frame] = (), engine: str = "", code: str = "") -> None:
        super().__init__(message, frames=frames, engine=engine)
        self.name = name
        if code:
            self.code = code


class ArgumentError(ScriptError):
    """A call's arguments do not fit the method's signature."""

    code = "argument"
    of_one_call = True


class StoppedError(ScriptError):
    """A guardrail or a hook of the user's stopped a call, for what that call holds."""

    code = "stopped"
    of_one_call = True


class ReplayError(SpellError):
    """A call is not among those that are played again: record them anew.

    No ScriptError, as who catches failures of a call to go on, or to have a model try again, must not take it for one: the call was never made.
    """

    code = "replay"


class ValueCrossingError(ScriptError):
    """A value cannot cross the border; `path` names it, as in `rows[3].when`."""

    code = "value"

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{message} (at {path})" if path else message)
        self.path = path


class DeniedError(SpellError):
    """The policy says no: ask for a grant of `capability`."""

    code = "denied"

    def __init__(self, message: str, *, capability: str = "", frames: Sequence[Frame] = (), engine: str = "") -> None:
        super().__init__(message, frames=frames, engine=engine)
        self.capability = capability


class RefusedError(DeniedError):
    """The user said no to a call that whoever made it wanted them asked about, whatever the policy says; for that one alone to catch."""


class LimitError(SpellError):
    """A limit was met: `limit` names it, `value` is the cap, `used` what was asked for or used."""

    code = "limit"

    def __init__(
        self, message: str, *, limit: str = "", value: float = 0, used: float = 0, frames: Sequence[Frame] = (), engine: str = ""
    ) -> None:
        super().__init__(message, frames=frames, engine=engine)
        self.limit = limit
        self.value = value
        self.used = used


class BridgeError(SpellError):
    """The outside world failed; `retryable` says whether the same call may work later, `retry_after_s` when at the earliest, if it said so."""

    code = "bridge"
    of_one_call = True

    def __init__(self, message: str, *, retryable: bool = False, code: str = "", frames: Sequence[Frame] = (), engine: str = "") -> None:
        super().__init__(message, frames=frames, engine=engine)
        self.retryable = retryable
        self.retry_after_s: float | None = None
        if code:
            self.code = code


class WorkerLost(SpellError):
    """The worker process died or was killed; `reason` names the signal or the exit status."""

    code = "worker_lost"

    def __init__(self, message: str, *, reason: str = "", engine: str = "") -> None:
        super().__init__(message, engine=engine)
        self.reason = reason


class Interrupted(SpellError):
    """The user stopped the cell."""

    code = "interrupted"


NOT_BEGUN = "stopped before it began"


def not_begun(engine: str) -> Interrupted:
    """Of a cell that was stopped while it waited: nothing of it has run."""
    return Interrupted(NOT_BEGUN, engine=engine)


class PlacedError(SpellError):
    """What is wrong stands in a file: the message begins with `file`, `line`, `column` (from 1; 0 = unknown) and `key`, as far as they are known."""

    def __init__(self, message: str, *, file: str = "", line: int = 0, column: int = 0, key: str = "", engine: str = "") -> None:
        places = (file, f"line {line}" if line else "", f"column {column}" if column else "", f"key '{key}'" if key else "")
        place = ", ".join(part for part in places if part)
        super().__init__(f"{place}: {message}" if place else message, engine=engine)
        self.file = file
        self.line = line
        self.column = column
        self.key = key


class ConfigError(PlacedError):
    """A setting, a call or an installation is wrong; the message names it and the mend."""

    code = "config"


class LoadError(PlacedError):
    """A script, a module or a manifest cannot be read or parsed."""

    code = "load"


class ProtocolError(SpellError):
    """Host and worker disagree about the conversation."""

    code = "protocol"


class LocalProtocolError(ProtocolError):
    """Our side tried an illegal message: our bug."""


class RemoteProtocolError(ProtocolError):
    """The other side sent something illegal: it is broken or hostile, and the conversation is over."""


class InternalError(SpellError):
    """Our bug.  The message asks for a report."""

    code = "internal"


NEAREST_CHARS = 200
"""Of a name that others are held against: scripts choose it, and one of 15 MB would take seconds."""


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint for an unknown name: `; did you mean 'chat'?`, else the known names, else nothing."""
    close = get_close_matches(name[:NEAREST_CHARS], known, n=3, cutoff=0.6)
    if close:
        return "; did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    return f"; known: {', '.join(known[:12])}" if known else ""
