"""A cell that runs within a call of another one: a function of another state, or a script that a call was given.

It has no events of its own but its calls, which belong to the cell that asks; that cell's budgets are used, and its output is shown there.
Where the call is given up, the cell is stopped as by its user, and its state kept.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ..errors import SpellError
from ..values import Value
from .cell_run import CellRun
from .redacted import RedactedSink
from .script_state import FunctionCall, ScriptState
from .sink import Sink

if TYPE_CHECKING:
    from .effects import EffectContext
    from .session import Session


async def run_within(within: EffectContext, script: ScriptState, work: str | FunctionCall, sink: Sink | None = None) -> list[Value]:
    """The cell's results, when its state is free.  Raises the SpellError that ended it."""
    outer, session = within.run, within.run.session
    async with script.turns:
        while (busy := session.running.get((script.name, script.engine))) is not None:
            await busy.over.wait()
        shown = outer.sink if sink is None else RedactedSink(sink, session.redactor)
        limits = session.limits if script.fixed is None else script.fixed.limits
        run = CellRun(session, script, outer.cell, outer.chunk, shown, limits, (*session.grants, *script.grants))
        run.called_within, run.account, run.started_s = within, outer.account, time.time()
        if script.fixed is not None:
            run.inner_grants = outer.inner_grants
        return await _ended(session, script, run, work)


async def _ended(session: Session, script: ScriptState, run: CellRun, work: str | FunctionCall) -> list[Value]:
    task = asyncio.create_task(session.execute(script, run, work, {}))
    failed = True
    try:
        values = await asyncio.shield(task)
        failed = False
        return values
    except SpellError:
        script.untold_loss()  # told by this very error
        raise
    except asyncio.CancelledError:
        run.interrupt()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # it was given up, and so is what became of it
        raise
    finally:
        session.keep_past(script, run, work, {}, failed=failed)
