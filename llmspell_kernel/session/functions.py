"""Functions of scripts that are kept and called later: by a cell of their own state that waits, or as a cell of that state.

Rules
- A function of the state whose call asks it runs in the cell that waits, as any function that a script gives with a call.
- Of another state it is a cell: that state's limits and grants hold, its history has it, and the journal has it as a call within the asking one.
  Where that state's own cell waits for the same call, further out, the function runs in that cell.
- Cells of one state come one after the other.  Whoever asks waits for the state, for as long as its own cell may take.
- Where the asking state is restored, what the other one answered is played: its variables have changed already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ..bridges._bridge import Context
from ..bridges._checking import converted
from ..bridges._declaration import own_method
from ..errors import ScriptError
from ..host_types._crossing import to_plain
from ..protocol.steps import Effect
from ..values import Callback, Value
from .foreign import refuse_foreign
from .script_state import FunctionCall, ScriptState
from .value_lists import check_size, write_values
from .within import run_within

if TYPE_CHECKING:
    from .cell_run import CellRun
    from .effects import EffectContext
    from .session import Session


class KeptFunction:
    """bridges._bridge.ScriptFunction."""

    def __init__(self, session: Session, script: ScriptState, callback: Callback) -> None:
        self._session = session
        self._script = script
        self._number = script.number
        """Of the state while it is in that worker: the same function has another number in the next one, or none."""
        self._callback = callback
        self.engine, self.state = script.engine, script.name

    @property
    def is_alive(self) -> bool:
        script = self._script
        return self._session.states.get((script.name, script.engine)) is script and script.number == self._number

    async def ready(self) -> None:
        script = self._script
        if self.is_alive and script.worker is None and (script.name, script.engine) not in self._session.running:
            await self._session.ready(script)

    async def __call__(self, ctx: Context, *args: Value, as_type: Any = Any) -> Any:
        context = cast("EffectContext", ctx)
        waiting = self._waiting(context)
        if waiting is context.run:
            self._check()
            return await ctx.invoke(self._callback, *args, as_type=as_type)
        plain = [to_plain(arg, f"argument {position}") for position, arg in enumerate(args, 1)]
        plain = context.run.redactor.redact_value(plain)
        refuse_foreign(plain, "an argument")
        effect = Effect(0, "function", "call")
        value = await context.call_own(effect, [self.engine, self.state, plain], _CALL, lambda within: self._call(within, waiting, plain))
        return value if as_type is Any else converted(value, as_type, "the function's result")

    def _check(self) -> None:
        if not self.is_alive:
            raise ScriptError(
                f"the function belongs to the {self.engine} state '{self.state}' as it was before it was lost or ended; run the cell again"
                " that gave it",
                code="callback",
            )

    def _waiting(self, context: EffectContext | None) -> CellRun | None:
        """The run of a cell of the function's state that waits for this call."""
        while context is not None:
            if context.run.script is self._script and context.run.is_live:
                return context.run
            context = context.within
        return None

    async def _call(self, within: EffectContext, waiting: CellRun | None, args: Sequence[Value]) -> Value:
        self._check()
        written = write_values(args)
        check_size(written, "the arguments of the script's function", within.run.limits.value_bytes)
        if waiting is not None:
            _note(within, waiting, self._callback, bytes(written))
            value = await waiting.invoke(self._callback, args, within)
        else:
            values = await run_within(within, self._script, FunctionCall("", bytes(written), self._callback.id))
            value = values[0] if values else None
        refuse_foreign(value, "the function's result")
        return value


def _note(within: EffectContext, waiting: CellRun, callback: Callback, args: bytes) -> None:
    """The call by which the function's own state left it is played again with this function in it."""
    context: EffectContext | None = within
    while context is not None:
        if context.run is waiting and context.made is not None:
            context.made.add_invocation(callback, args)
            return
        context = context.within


_CALL = own_method("function.call", "A call of a function of another state, and its first result.", "call")
