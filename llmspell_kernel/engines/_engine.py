"""What an engine is: a synchronous object that does no I/O except writing printed text through `emit`.

The worker calls `Engine.open` once a state, then `State.start` / `State.resume` for each step, and `State.query` between them.
Nothing else reaches an engine.  An engine imports only protocol, values and errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from ..protocol.steps import Allowance, Answer, Invocation, QueryKind, Step

Emit = Callable[[int, bytes], None]
"""`emit(stream, utf8_text)`: prints.  Stream 1 is stdout, 2 stderr.  Called only while a step runs; ordered before the step's result."""


class Options(msgspec.Struct, frozen=True):
    """Limits and facts of one state, decided by policy on the host and shipped with OpenState."""

    state: int
    memory_bytes: int = 128 * 1024 * 1024
    max_value_bytes: int = 16 * 1024 * 1024
    seed: int = 0
    """Seed of the language's random numbers."""
    entropy: str = ""
    """32 hex digits drawn by the host when the state was opened, and kept in the journal: from these come ids that must differ from all others."""
    time_s: float = 0.0
    """Unix time at which the state was opened, for clocks inside the language."""
    stack_bytes: int = 4 * 1024 * 1024
    """How deep calls may be nested, where the language's stack is the machine's."""
    preset: str = ""
    """The name of the policy's preset, for errors about what it leaves out."""
    removed: tuple[str, ...] = ()
    """Names of the language that the preset leaves out, such as `load`: the engine takes them away, and says so where a script uses one."""


class StopFlag(Protocol):
    """The byte in a page shared with the host: the soft interrupt."""

    address: int
    """Address in this process of the byte; 0x30 ('0') = go on, anything else = stop now."""
    variable: str
    """Name of the environment variable whose text is that one byte (Lua reads it through a captured os.getenv)."""

    def raised(self) -> bool: ...


class State(Protocol):
    """One persistent script world."""

    def allow(self, allowance: Allowance) -> None:
        """What the next cell may use; called before each `start` and `call`."""

    def tell_time(self, time_s: float) -> None:
        """The Unix time that clocks inside the language show from now on; called before each `start`, `call` and `resume`.

        Between two calls a clock may go on by what has run, never by a clock of the machine: a replay must show the same times.
        """

    def start(self, code: str, chunk: str) -> Step:
        """Run a cell until it suspends, ends or fails.  Never raises for a fault of the script."""

    def call(self, function: str, args: msgspec.Raw, chunk: str, callback: int = 0) -> Step:
        """Run a cell that is a call of a global function, by its dotted name, with a JSON array of values; its results are the cell's.

        With a `callback` it is a call of the function that went out with that number.

        A name that is no function of the script is a Failed step.  Reading the path runs nothing of the script.
        """

    def resume(self, answers: Sequence[Answer], invocations: Sequence[Invocation]) -> Step:
        """Go on with answers to effects and calls of the script's own functions.

        Where no cell runs, but background work of one waits, that work goes on: the step is then `Finished` without values.
        """

    def query(self, kind: QueryKind, text: str, value: bytes) -> bytes:
        """Answer a question without running the script's code, as JSON in the written form of values.

        `members`: `text` is a dotted path ("" = globals); `[[name, type], ...]` (type: function, table, string, number ...; [] when unknown).
        `is_complete`: {"status": "complete" | "incomplete" | "invalid", "indent": "  "}, and where it is not complete what the parser says:
        "message", and "line" (from 1; 0 = unknown).
        `get`: the global named `text`.  `set`: stores the value `value` under the global `text`, null.
        `declare`: bridges come and go, null; `value` is {"remove": [names], "add": a catalogue as at `Engine.open`}, in that order.
        Raises errors.ScriptError or ValueCrossingError.
        """

    def close(self) -> None: ...


class Engine(Protocol):
    """One language.  An engine's module offers `create_engine(stop, emit) -> Engine`, called once in each worker.

    An engine does not know what it is called: its declaration names it, and the host puts that name into errors.  So one language may be
    made of another's engine.

    Once `create_engine` has returned, the worker is confined: no file can be opened any more and no thread started.  Whatever an engine
    needs of the machine is loaded before, modules and codecs that Python would load at their first use among it.
    """

    facts: Mapping[str, str | bool]
    """language_version, library, soft_interrupt (did its self-test pass), columns ..."""

    def open(self, options: Options, catalogue: Mapping[str, Any]) -> State: ...
