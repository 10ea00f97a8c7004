"""A state that was lost comes back: its finished cells run again in a new worker, every call answered as it was.

Rules
- Nothing is called twice, shown twice or paid twice: each answer comes from the history, and output goes nowhere.
- The worker gets the seed, the entropy and the times of the lost one, so random numbers, ids and clocks are the same.
- The cell that the worker died in is left out: it did not finish.  A cell that was stopped halfway is left out too, as nobody knows how far
  it came.
- A cell is answered with its own calls alone, and those of what earlier cells left in the background; never with those of a cell that is left
  out.
- A cell that asks for what it did not ask before, or ends otherwise, has diverged: it is named, and the cells after it still run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from ..errors import Interrupted, SpellError, WorkerLost, not_begun
from ..journal.recorder import Recorder
from .background import BackgroundRun
from .cell_run import CellRun
from .history import PastCell, entries_of_cells
from .playback import Playback
from .redacted import RedactedSink
from .sink import NullSink

if TYPE_CHECKING:
    from .script_state import ScriptState
    from .session import Session


class Restored(NamedTuple):
    """`cells` ran again; `left_out` are those that could not, each with the reason."""

    cells: int
    seconds: float
    left_out: Sequence[tuple[str, str]]

    def told(self, title: str) -> str:
        count = f"{self.cells} cell{'' if self.cells == 1 else 's'}"
        lines = [f"{title} state restored: {count} in {self.seconds * 1000:.0f} ms"]
        return "\n".join(lines + [f"  not {chunk}: {why}" for chunk, why in self.left_out])


class RestoreFailed(Exception):
    """A cell could not run again; `remaining` are the cells with that one left out, none where nothing of them can be used."""

    def __init__(self, message: str, remaining: Sequence[PastCell]) -> None:
        super().__init__(message)
        self.message = message
        self.remaining = remaining


async def restore(
    session: Session, script: ScriptState, past: Sequence[PastCell], limit_s: float, waiting: CellRun | None
) -> tuple[Restored, list[PastCell]]:
    """Runs cells again in a state that is fresh; what came of it, and the state's new history.

    `waiting` is the cell that needs the state: its stop ends this too.  Raises RestoreFailed and Interrupted.
    """
    started = time.monotonic()
    try:
        entries, times, owned = entries_of_cells(past)
    except SpellError as error:
        raise RestoreFailed(f"what its calls came to cannot be played: {error.message}", []) from error
    playback = Playback(entries, "the journal", times)
    script.time_s = 0.0
    again: list[PastCell] = []
    left_out: list[tuple[str, str]] = []
    ran, background = 0, set[int]()
    for at, cell in enumerate(past):
        if waiting is not None and waiting.stopped:  # also between two cells, where no script hears of it
            raise not_begun(script.engine)
        left_s = limit_s - (time.monotonic() - started)
        why = cell.left_out or ("" if left_s > 0 else f"restoring takes more than its {limit_s:g} s")
        if not why:
            own, late = owned[at]
            background |= late
            playback.among = own | background
            try:
                cell, why = await _again(session, script, cell, playback, left_s)
            except Interrupted:
                raise
            except SpellError as error:
                if waiting is not None and waiting.stopped:  # it was deaf to the stop
                    raise not_begun(script.engine) from error
                script.renew()  # what stopped this cell is none of the next worker's
                raise _failed_over(past, at, error) from error
            ran += cell.work is not None
            if waiting is None or not waiting.stopped:
                script.renew()
        if why:
            left_out.append((cell.chunk, why))
        again.append(cell)
    if waiting is not None and waiting.stopped:
        raise not_begun(script.engine)
    return Restored(ran, time.monotonic() - started, left_out), again


def _failed_over(past: Sequence[PastCell], at: int, error: SpellError) -> RestoreFailed:
    what, why = ("ended its worker", error.reason) if isinstance(error, WorkerLost) else ("failed to begin", error.message)
    cell = replace(past[at], left_out=f"it {what} when it ran again ({why})")
    return RestoreFailed(f"{cell.chunk} {what} when it ran again: {why}", [*past[:at], cell, *past[at + 1 :]])


async def _again(session: Session, script: ScriptState, cell: PastCell, playback: Playback, left_s: float) -> tuple[PastCell, str]:
    """The cell with the calls it made this time, and how it diverged."""
    for name, text in cell.inputs:
        await script.query("set", name, text)
    if cell.work is None:
        return cell, ""
    limits = session.limits._replace(total_time_s=min(left_s, session.limits.total_time_s))
    run = CellRun(
        session, script, cell.number, cell.chunk, RedactedSink(NullSink(), session.redactor), limits, (*session.grants, *script.grants)
    )
    run.recorder, run.playback, run.taping = Recorder(), playback, None
    script.limits = limits
    run.tell_time(cell.began_s)
    failed, why = False, ""
    try:
        await run.execute(cell.work)
    except (Interrupted, WorkerLost):
        raise
    except SpellError as error:
        if script.worker is None:  # a limit had to kill it
            raise WorkerLost(error.message, reason=error.message) from error
        failed, why = True, "" if cell.failed else f"it failed this time: {error.message}"
    finally:
        script.settle()
    if not why and failed != cell.failed:
        why = "it failed before, and did not this time"
    before, missing = len(cell.calls) + len(cell.entries), list(run.missing)
    again = replace(run.past(cell.work, cell.inputs, failed=failed), began_s=cell.began_s)
    if run.background is not None and script.worker is not None:
        await _background(run, script, before, left_s)
    if not why and missing:
        why = f"it asked for what it did not ask before ({', '.join(missing[:3])})"
    if not why and len(run.kept_calls) < before:
        why = f"it made {len(run.kept_calls)} calls, and {before} before"
    return again, why


async def _background(run: CellRun, script: ScriptState, calls: int, left_s: float) -> None:
    """Lets what the cell left behind go on until it has had as many answers as it had; the next cell takes over what is left of it."""
    goes_on = BackgroundRun(run, script)
    ended = asyncio.ensure_future(goes_on.ended())
    try:
        async with asyncio.timeout(left_s):
            while len(run.kept_calls) < calls and not ended.done():
                run.kept_news.clear()
                news = asyncio.ensure_future(run.kept_news.wait())
                await asyncio.wait({news, ended}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
    except TimeoutError:
        pass  # it is told as calls that were not made
    finally:
        ended.cancel()
    await goes_on.leave()
