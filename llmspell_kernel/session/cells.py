"""Cells, from their beginning to their result: in a state that has its worker and its init script behind it, and in nobody's way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigError, Interrupted, LimitError, ScriptError, SpellError, WorkerLost
from ..journal.events import CellFinished, CellStarted, InitStarted, WorkerWasLost
from ..policy.limits import Limits
from ..settings import PYTHON
from ..values import Value
from ..workers.pool import WorkerPool
from .background import BackgroundRun
from .cell_run import CellRun
from .init_scripts import add_place, read_init
from .placing import placed
from .redacted import RedactedSink, redact_error
from .result import ExecutionResult, KeptOutput, account
from .script_globals import read_global, written_global
from .script_state import FunctionCall, ScriptState, refuse_surrogates
from .sink import Sink
from .state_keeper import Key
from .status import used_by
from .taping import CELL_S

if TYPE_CHECKING:
    from .session import Session


class Cell(NamedTuple):
    """What is to be run: code, or a call of a script's function; `told` is how the journal has it.

    `inputs` are set as globals before, `outputs` read after.  `number` is None for the next one.
    """

    work: str | FunctionCall
    told: str
    engine: str
    state: str
    chunk: str
    inputs: Mapping[str, Value] = MappingProxyType({})
    outputs: Sequence[str] = ()
    number: int | None = None
    timeout_s: float | None = None


class Cells:
    """`running` are the cells that run, and whatever else holds a state as a cell does; `background` is what others left behind.

    `init` are the scripts that every fresh state begins with, by engine.
    """

    def __init__(self, session: Session, pool: WorkerPool, init: Mapping[str, Path]) -> None:
        self._session = session
        self._pool = pool
        self.init = init
        self.running: dict[Key, CellRun] = {}
        self.background: dict[Key, BackgroundRun] = {}
        self.waiting: list[tuple[frozenset[ScriptState], ScriptState]] = []
        """Cells that wait for a state's turn: whose they are, from the asking one outwards, and which state."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """The one that cells run on."""

    def on_this_loop(self) -> None:
        """Cells run on the loop that runs now: this is where they can be stopped."""
        self._loop = asyncio.get_running_loop()

    def interrupt(self, state: str | None, engine: str | None) -> None:
        """Stops what runs in every state, or in those of that name or engine.  May be called in any thread."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return  # nothing has ever run
        if running_loop() is loop:
            self._interrupt(state, engine)
        else:
            loop.call_soon_threadsafe(self._interrupt, state, engine)

    def _interrupt(self, state: str | None, engine: str | None) -> None:
        known: list[tuple[Key, CellRun | BackgroundRun]] = [*self.running.items(), *self.background.items()]
        for (of, language), run in known:
            if state in (None, of) and engine in (None, language):
                run.interrupt()

    async def run(self, cell: Cell, sink: Sink | None) -> ExecutionResult:
        """A fault of the script is the result's `error`; what is raised is a wrong call."""
        self.on_this_loop()
        session = self._session
        session.secrets.refresh()
        engine, limits = session.engines.get(cell.engine).name, self._limits_within(cell.timeout_s)
        number = cell.number if cell.number is not None else session.next_cell()
        started_s, began = time.time(), time.monotonic()
        function = cell.work.function if isinstance(cell.work, FunctionCall) else ""
        session.recorder.record(CellStarted(number, started_s, engine, cell.state, cell.chunk, cell.told, function))
        values: list[Value] = []
        found: dict[str, Any] = {}
        error: SpellError | None = None
        status: Any = "error"
        script, kept = session.state_of(cell.state, engine), KeptOutput(sink or session.sink)
        shown = RedactedSink(kept, session.redactor)
        run = CellRun(session, script, number, cell.chunk, shown, limits, (*session.grants, *script.grants))
        run.started_s = started_s
        for line in session.unmet_rules(script.grants):
            shown.write("stderr", f"{line}\n")
        try:
            refuse_surrogates(function or cell.told)
            values = session.redactor.redact_value(await self.execute(script, run, cell.work, cell.inputs))
            for name in cell.outputs:
                found[name] = await read_global(script, name, session.limits.value_bytes, session.redactor)
            status = "ok"
        except SpellError as caught:
            error = placed(redact_error(caught, session.redactor), cell.chunk, cell.work if isinstance(cell.work, str) else "")
            status = _status(caught)
            error.engine = error.engine or engine
            lost = next((fault for fault in (caught, caught.__cause__) if isinstance(fault, WorkerLost)), None)
            if lost is not None:
                script.untold_loss()  # told by this very error
                session.recorder.record(WorkerWasLost(number, time.time(), cell.state, lost.reason, engine))
        except asyncio.CancelledError:
            status = "interrupted"
            raise
        finally:
            message = "" if error is None else error.message
            if session.taping is not None:
                session.taping.cell_ended()
            keep_past(run, cell.work, cell.inputs, failed=status != "ok", interrupted=status == "interrupted")
            taken_s = time.monotonic() - began
            session.recorder.record(CellFinished(number, time.time(), status, taken_s, message, run.script_time_s, run.output_bytes))
        told_of = account(session.recorder.of_cell(number))._asdict()
        return ExecutionResult(cell=number, values=values, error=error, outputs=found, output=kept.output(), **told_of)

    def _limits_within(self, timeout_s: float | None) -> Limits:
        limits = self._session.limits
        if timeout_s is None:
            return limits
        if not timeout_s > 0:
            raise ConfigError(f"timeout_s must be more than 0, not {timeout_s}")
        return limits._replace(total_time_s=min(timeout_s, limits.total_time_s))

    async def execute(self, script: ScriptState, run: CellRun, work: str | FunctionCall | None, inputs: Mapping[str, Value]) -> list[Value]:
        """Runs the init script, if the state is fresh, and then the work, if there is any."""
        session, key = self._session, (script.name, script.engine)
        if key in self.running:
            raise ScriptError(f"the {script.engine} state '{script.name}' is busy with another cell")
        self.running[key] = run
        script.limits = run.limits
        run.tell_time(session.taping.pass_time(CELL_S) if session.taping is not None else run.started_s)
        background, met_limit = self.background.pop(key, None), False
        self._pool.use()
        try:
            if background is not None:
                await background.leave()
            script.renew()
            if run.stopped:
                run.interrupt()
            # the run is known before its worker is there, so that a stop in the meantime is not missed
            await session.ready(script, run)
            if script.is_fresh:
                background = await self._initialize(script, run)
            for name, value in inputs.items():
                await script.query("set", name, written_global(value, name))
            return [] if work is None else await run.execute(work)
        except LimitError as error:
            met_limit = True
            if script.worker is not None and not await script.answers():
                script.untold_loss()  # told here
                error.message += f"; the {script.engine} state '{script.name}' answered no more and was ended, the next cell gets a new one"
            raise
        finally:
            del self.running[key]
            run.over.set()
            run.cut_short = bool(script.stopping)
            if work is not None:
                script.ended(used_by(run), met_limit=met_limit)
            script.settle()
            script.renew()
            if session.states.get(key) is not script:  # forgotten while this cell waited for its worker
                await session.resources.release_state(script.number)
                script.close()
            elif run.background is not None and script.worker is not None:
                self._leave_behind(key, run, script)
                if run.exceeded is not None:  # by what the cell left behind
                    self.background[key].exceed(run.exceeded)
            elif background is not None and not run.begun and script.lingers:  # what went on before goes on
                self._leave_behind(key, background.run, script, background)
                if run.stopped:
                    self.background[key].interrupt()

    async def _initialize(self, script: ScriptState, run: CellRun) -> BackgroundRun | None:
        """Runs the language's init script in a fresh state, as the beginning of its first cell: its effects, output and script time are that
        cell's, while instructions and the total time are counted anew.

        Gives what it left in the background.  What fails ends the state: none goes on half made.
        """
        session, path = self._session, self.init.get(script.engine)
        if path is None:
            script.is_fresh = False
            return None
        init = read_init(path, run.limits.value_bytes)
        session.sources[init.chunk] = init.code
        session.recorder.record(InitStarted(run.cell, time.time(), script.engine, script.name, init.chunk, init.code))
        first = CellRun(session, script, run.cell, init.chunk, run.sink, run.limits, run.grants)
        try:
            await first.execute(init.code)
        except BaseException as error:
            script.close()
            script.untold_loss()  # told by this very error
            if isinstance(error, SpellError):
                add_place(error, path, session.folder)
            raise
        finally:
            run.goes_on_from(first)
        script.is_fresh = False
        script.history.add(first.past(init.code), first.kept_bytes)
        if first.background is None:
            return None
        background = BackgroundRun(first, script)
        await background.leave()
        return background

    def _leave_behind(self, key: Key, run: CellRun, script: ScriptState, goes_on_from: BackgroundRun | None = None) -> None:
        background = self.background[key] = BackgroundRun(run, script, goes_on_from)

        def forget(_: asyncio.Task[None]) -> None:
            if self.background.get(key) is background:
                del self.background[key]

        background.on_end(forget)

    async def end_background(self, script: ScriptState) -> None:
        """Stops what the state's last cell left behind, and waits until it is gone."""
        background = self.background.get((script.name, script.engine))
        if background is not None:
            background.interrupt()
            await background.ended()

    async def opened(self, script: ScriptState, sink: Sink) -> ScriptState:
        """The state as its first cell would find it; what its init script prints goes to the sink."""
        session, key = self._session, (script.name, script.engine)
        await session.ready(script)
        if script.is_fresh and key not in self.running:
            shown = RedactedSink(sink, session.redactor)
            run = CellRun(session, script, 0, PYTHON, shown, session.limits, (*session.grants, *script.grants))
            await self.execute(script, run, None, {})
        return script


def keep_past(run: CellRun, work: str | FunctionCall, inputs: Mapping[str, Value], *, failed: bool, interrupted: bool = False) -> None:
    """Adds a cell that ended to its state's history.  One that was stopped came as far as nobody knows."""
    script = run.script
    if run.begun and script.worker is not None:  # else it did nothing, or is the cell that the worker ended in
        left_out = "it was stopped" if run.cut_short or interrupted else ""
        given = [(name, written_global(value, name)) for name, value in inputs.items()]
        script.history.add(run.past(work, given, failed=failed, left_out=left_out), run.kept_bytes)


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _status(error: SpellError) -> Any:
    if isinstance(error, Interrupted):
        return "interrupted"
    return "lost" if isinstance(error, WorkerLost) else "error"
