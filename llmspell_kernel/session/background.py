"""What a cell left in the background goes on between cells, under the limits of that cell counted anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..errors import LimitError, SpellError
from ..protocol.steps import Failed, Suspended
from .faults import error_of
from .script_state import INTERRUPT, TOTAL_TIME, ScriptState

if TYPE_CHECKING:
    from .cell_run import CellRun


class BackgroundTask(NamedTuple):
    """`label` is the name that the script gave, else the engine's own."""

    state: str
    engine: str
    label: str


class BackgroundRun:
    """Resumes a state that has no cell whenever an effect of its background work is answered.

    It prints to the output of the cell that left it.  A stop ends all of it; a new cell of the state takes it over (`leave`).  Where that
    cell does not even begin, `goes_on_from` is what it had taken over: its times count on, or cells that fail would renew them for ever.
    """

    def __init__(self, run: CellRun, state: ScriptState, goes_on_from: BackgroundRun | None = None) -> None:
        self.run = run
        anew = asyncio.get_running_loop().time() + run.limits.total_time_s
        self._ends_at: float = anew if goes_on_from is None else goes_on_from._ends_at
        if goes_on_from is None:
            run.renew_budget()
        self._state = state
        self._leaving = False
        self._task = asyncio.create_task(self._live())

    async def leave(self) -> None:
        """Ends this loop, not the work: the next cell's loop goes on with it."""
        self._leaving = True
        self._state.exchange.news.set()
        await asyncio.wait({self._task})

    def interrupt(self) -> None:
        """Stops all of it."""
        self._stop(INTERRUPT)

    def exceed(self, error: LimitError) -> None:
        """Stops all of it for a limit that was met."""
        self._state.exceed(error)
        self._state.exchange.news.set()

    def on_end(self, listener: Callable[[asyncio.Task[None]], None]) -> None:
        self._task.add_done_callback(listener)

    async def close(self) -> None:
        """The state goes: its effects are cancelled with it."""
        await self.leave()
        await self.run.end_effects()

    async def ended(self) -> None:
        """Waits until nothing goes on any more."""
        await asyncio.shield(self._task)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.call_at(self._ends_at, self._stop, TOTAL_TIME)
        self._state.listen(self.run.printed, self._state.exchange.news.set)
        try:
            while self._goes_on() and not self._may_leave():
                await self._slice()
        except SpellError as error:
            self.run.tell(f"background work ended: {self._state.explain(error).message}")
            self.run.take_background(None)
        finally:
            deadline.cancel()
            self.run.end_output()
            if not (self._leaving and self._goes_on()):  # what ended has nobody to take it over
                self._state.listen_no_more()
                self.run.stopped = self.run.is_stopping  # its calls are given up below, when the state knows no more of it
                self._state.renew()
                await self.run.end_effects()
            self.run.flush()

    async def _slice(self) -> None:
        exchange = self._state.exchange
        while not (exchange.has_message or self._state.stopping or self._leaving or self._state.worker is None):
            exchange.news.clear()
            await exchange.news.wait()
        if self._may_leave() or self._state.worker is None:
            return
        step = await self.run.resume()
        assert not isinstance(step, Suspended), "the table of transitions allows none here"
        self.run.take_background(step.background)
        ended: SpellError | None = error_of(step.fault, self._state.engine) if isinstance(step, Failed) else None
        if self.run.background is None:
            ended = ended or self.run.exceeded
        if ended is not None:
            self.run.tell(f"background work ended: {self._state.explain(ended).message}")

    def _goes_on(self) -> bool:
        return self.run.background is not None and self._state.worker is not None

    def _may_leave(self) -> bool:
        """What was told to stop is stopped first: the next cell must not find it alive."""
        return self._leaving and not self._state.stopping

    def _stop(self, why: str) -> None:
        self._state.stop(why)
        self._state.exchange.news.set()
