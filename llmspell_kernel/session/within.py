"""A cell that runs within a call of another one: a function of another state, or a script that a call was given.

It has no events of its own but its calls, which belong to the cell that asks; that cell's budgets are used, and its output is shown there.
Where the call is given up, the cell is stopped as by its user, and its state kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..errors import ScriptError, SpellError
from ..values import Value
from .cell_run import CellRun
from .cells import keep_past
from .redacted import RedactedSink
from .script_state import FunctionCall, ScriptState
from .sink import Sink

if TYPE_CHECKING:
    from .effects import EffectContext
    from .session import Session

    Waiting = tuple[frozenset[ScriptState], ScriptState]
    """The states whose cells wait, and the one that they wait for."""


async def run_within(within: EffectContext, script: ScriptState, work: str | FunctionCall, sink: Sink | None = None) -> list[Value]:
    """The cell's results, when its state is free.  Raises the SpellError that ended it."""
    outer, session = within.run, within.run.session
    async with _turn(within, script):
        shown = outer.sink if sink is None else RedactedSink(sink, session.redactor)
        limits = session.limits if script.fixed is None else script.fixed.limits
        run = CellRun(session, script, outer.cell, outer.chunk, shown, limits, (*session.grants, *script.grants))
        run.called_within, run.account, run.started_s = within, outer.account, time.time()
        if script.fixed is not None:
            run.inner_grants = outer.inner_grants
        return await _ended(session, script, run, work)


@asynccontextmanager
async def _turn(within: EffectContext, script: ScriptState) -> AsyncIterator[None]:
    """Waits until no other cell runs in the state.  Raises ScriptError where that one waits, by whatever way, for one of those that ask here."""
    session, held = within.run.session, _asking(within)
    waiting = (held, script)
    if script.turns.locked() or (script.name, script.engine) in session.running:
        _refuse_circle(within, session.cells.waiting, waiting)
    session.cells.waiting.append(waiting)
    try:
        await script.turns.acquire()
    except BaseException:
        session.cells.waiting.remove(waiting)
        raise
    try:
        try:
            while (busy := session.running.get((script.name, script.engine))) is not None:
                await busy.over.wait()
        finally:
            session.cells.waiting.remove(waiting)
        yield
    finally:
        script.turns.release()


def _asking(within: EffectContext) -> frozenset[ScriptState]:
    """The states whose cells wait for this call, from the one that asks it outwards."""
    found = set()
    context: EffectContext | None = within
    while context is not None:
        found.add(context.run.script)
        context = context.within
    return frozenset(found)


def _has_cell(within: EffectContext) -> bool:
    """Does a cell still run that asks this call?"""
    context: EffectContext | None = within
    while context is not None:
        if context.run.is_live:
            return True
        context = context.within
    return False


def _refuse_circle(within: EffectContext, known: Sequence[Waiting], waiting: Waiting) -> None:
    held, script = waiting
    reached = {script}
    while more := {target for others, target in known if others & reached} - reached:
        reached |= more
    if not reached & held:
        return
    busy = f"the {script.engine} state '{script.name}' is busy with a cell"
    if _has_cell(within):
        raise ScriptError(f"{busy} that waits for this one: their functions call each other at once; call one after the other", code="busy")
    raise ScriptError(
        f"{busy}, and the cell that this call belongs to is over; read a stream to its end in the cell that began it", code="busy"
    )


async def _ended(session: Session, script: ScriptState, run: CellRun, work: str | FunctionCall) -> list[Value]:
    task = asyncio.create_task(session.cells.execute(script, run, work, {}))
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
        keep_past(run, work, {}, failed=failed)
