"""One notebook's scripts: states by name, bridges, resources, the journal."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar, Unpack, overload

from .. import __version__ as VERSION
from ..bridges._bridge import Bridge
from ..bridges._checking import converted
from ..bridges._exposed import HOST, exposed_functions, exposed_object
from ..bridges._python_tools import ToolOptions, python_tool
from ..bridges._registry import discover as discover_bridges
from ..bridges._threads import allow as allow_threads
from ..configuration.rules import grants_of
from ..configuration.sources import state_folder as state_folder_of
from ..engines._registry import EngineRegistry
from ..engines._registry import discover as discover_engines
from ..errors import ConfigError, ScriptError
from ..host_types._crossing import to_plain
from ..journal.event_file import EventFile
from ..journal.recorder import Recorder
from ..policy.budgets import Budgets
from ..policy.decide import Grants
from ..policy.files import FilePolicy
from ..policy.layers import confinement_of
from ..policy.limits import Limits, limits_of
from ..policy.network import NetworkPolicy
from ..policy.presets import PRESETS
from ..policy.tables import table_of
from ..policy.workers import WorkerPolicy
from ..protocol.steps import Effect, QueryKind
from ..protocol.transitions import Phase
from ..redaction import Redactor
from ..services.modules import ModuleLibrary, chunk_of
from ..services.secrets import Secrets, sources_of
from ..services.tools.library import DECLARED, ToolLibrary
from ..settings import PYTHON, Settings
from ..values import Callback, Value, loads
from ..workers.host_memory import shield_host
from ..workers.pool import Clock, WorkerPool
from ..workers.spawn import WorkerProcess
from .approval import Approver, Desk
from .background import BackgroundTask
from .bridge_set import BridgeSet, Surroundings
from .budgets import SessionBudgets
from .cell_run import CellRun
from .cells import Cell, Cells, running_loop
from .effects import EffectContext, perform, value_of
from .faults import report
from .fresh_states import FreshScript, fresh_state
from .functions import KeptFunction
from .history import PastCell
from .init_scripts import init_files
from .interceptors import Interceptors
from .model_records import ModelRecords
from .pulse import Pulse
from .recovery import Restored
from .redacted import RedactedSink
from .resources import ResourceTable, refuse_references
from .result import ExecutionResult
from .script_globals import read_global, written_global
from .script_state import FunctionCall, Opening, ScriptState
from .sink import NullSink, Sink
from .sources import Sources
from .state_keeper import StateKeeper
from .status import SessionStatus, status_of
from .taping import Mode, Taping
from .unmet_rules import UnmetRules
from .value_lists import check_size, write_values

F = TypeVar("F")


class Session:
    """States are made when first used, by (name, engine).  All methods belong to one event loop; `warm` may be called before it runs.

    `bridges` adds instances to those found by entry points, or replaces those of the same name.  `pool` is closed with the session; without
    one it has a pool of its own, which follows the settings and takes over a `spare` worker that was started elsewhere.
    `limits` and `grants` stand above those of the settings; `folder` is the notebook's or project's (else the working directory),
    `state_folder` holds what lasts beyond it for its user; `approver` asks that user where the policy wants it, and without one such calls are
    denied; `unix_time` says which day it is for the budgets.  As an async context it closes itself.
    """

    def __init__(
        self,
        *,
        sink: Sink | None = None,
        settings: Settings | None = None,
        bridges: Sequence[Bridge] = (),
        limits: Limits | None = None,
        grants: Grants | None = None,
        pool: WorkerPool | None = None,
        engines: EngineRegistry | None = None,
        folder: Path | None = None,
        state_folder: Path | None = None,
        spare: WorkerProcess | None = None,
        clock: Clock | None = None,
        approver: Approver | None = None,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or Settings()
        self.folder = folder or Path.cwd()
        self.state_folder = state_folder or state_folder_of(os.environ)
        self.sink: Sink = sink or NullSink()
        self.redactor = Redactor()
        self.secrets = Secrets(self.settings.secrets, os.environ, self.redactor)
        self.recorder = Recorder(redactor=self.redactor)
        self.engines: EngineRegistry = engines or discover_engines()
        self._given_limits, self._given_grants = limits, grants
        self.limits, self.grants = self._limits(self.settings), self._grants(self.settings)
        self.resources = ResourceTable(self.recorder, self.limits.bridge_close_s)
        init = init_files(self.settings.init, self.engines, self.folder)
        allow_threads(self.limits.threads)
        self.budgets = SessionBudgets(self.settings, self.state_folder, unix_time)
        self._unmet_rules = UnmetRules()
        self.desk = Desk(approver)
        self.modules = ModuleLibrary(self.limits.value_bytes)
        self.tools = ToolLibrary(DECLARED)
        records = ModelRecords(self.folder)
        self.interceptors = Interceptors()
        surroundings = Surroundings(
            self.modules,
            self.folder,
            secrets=self.secrets,
            records=records,
            tools=self.tools,
            languages={engine.name: engine.file_endings for engine in self.engines},
            interceptors=self.interceptors,
            **_policies(self.settings),
        )
        self.bridges = BridgeSet(discover_bridges(), bridges, self.limits, self.settings._asdict(), surroundings)
        self.failed_bridges: Mapping[str, str] = self.bridges.failed
        self.declarations = self.bridges.declarations
        self._exposed: dict[str, Callable[..., Any]] = {}
        self.taping: Taping | None = None
        self._event_file: EventFile | None = None
        self._stop_listening: Callable[[], None] = _nothing
        self.lost_records: list[str] = []
        """Why journal and cassette do not hold all of what happened."""
        self._states: dict[tuple[str, str], ScriptState] = {}
        self._owns_pool = pool is None
        policy = table_of(self.settings, WorkerPolicy)
        self._pool = pool or WorkerPool(self.engines, policy=policy, startup_s=self.limits.startup_s, spare=spare, clock=clock)
        self.clock = clock
        """None is the event loop's."""
        self._pulse = Pulse(self._states.values, self._pool, clock)
        self._confine(self.settings)
        if running_loop() is not None:
            self._pool.use()  # a spare of a notebook that runs no script ends too
        self.cells = Cells(self, self._pool, init)
        self._keeper = StateKeeper(self, self._pool, self._pulse, self._states, self.cells.running, self.cells.background)
        self.last_cell = self._last_call = self._last_place = 0
        """Numbers count from 1; `last_cell` is that of the newest cell, from `next_cell`."""
        self.sources: dict[str, str] = Sources(redactor=self.redactor)
        """Chunk name -> source text, for the code frames of errors."""

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def configure(self, settings: Settings) -> None:
        """Other settings from now on: for the next cells, and seed, limit of memory and layers for states that are opened afterwards.

        Raises ConfigError, changing nothing.
        """
        _refuse(settings)
        init, workers = init_files(settings.init, self.engines, self.folder), table_of(settings, WorkerPolicy)
        limits, grants, policies = self._limits(settings), self._grants(settings), _policies(settings)
        self._confine(settings)  # the last that can raise; it then has changed nothing
        self.secrets.declare(settings.secrets)
        self.settings, self.cells.init = settings, init
        self.limits, self.grants = limits, grants
        if self._owns_pool:
            self._pool.configure(workers, limits.startup_s)
        self.resources.release_s = limits.bridge_close_s
        allow_threads(limits.threads)
        for name, policy in policies.items():
            setattr(self.bridges.surroundings, name, policy)
        self.budgets.configure(settings)
        self.bridges.configure(limits, settings._asdict())

    def _confine(self, settings: Settings) -> None:
        confinement = confinement_of(settings.preset, settings.confinement)
        if confinement.shields_host:
            shield_host()
        self._pool.confine(confinement.layers, required=confinement.required)

    def _limits(self, settings: Settings) -> Limits:
        return self._given_limits or limits_of(settings.preset, settings.limits)

    def _grants(self, settings: Settings) -> tuple[Grants, ...]:
        """On top of each other: the preset's, and the given ones or those of the settings."""
        own = self._given_grants or grants_of(settings)
        return PRESETS[settings.preset].grants, own

    def unmet_rules(self, narrowing: Sequence[Grants] = ()) -> list[str]:
        """A line for each rule that denies or asks, fits no call of any bridge, and was not told of before."""
        return self._unmet_rules.told((*self.grants, *narrowing), self.bridges)

    def keep_journal(self, file: Path | None = None) -> None:
        """Writes every event from now on to `.llmspell/journal` in the session's folder, or to a file, which is replaced."""
        self.end_journal()
        self._event_file = EventFile(self.folder, VERSION, self._tell_of_journal, file)
        self._stop_listening = self.recorder.listen(self._event_file)

    def end_journal(self) -> None:
        """Ends what `keep_journal` began; what was written stays."""
        if self._event_file is not None:
            self._stop_listening()
            self._event_file.close()
            self._event_file = None

    def _tell_of_journal(self, why: str) -> None:
        self.lost_records.append(why)
        self.sink.write("stderr", f"[{why}]\n")

    def tape(self, mode: Mode, file: Path) -> Taping:
        """From the next cell on, calls are recorded in a file, or answered from it; what was recorded until now is ended.

        Raises LoadError where a cassette to be played cannot be read: what went on goes on, unless it is that same file.  Raises ConfigError
        where what was recorded until now cannot be ended; it has, and nothing new begins.
        """
        if self.taping is not None and self.taping.is_on(file):
            self.end_taping()  # it is read in its lasting order, with every line
        taping = Taping(mode, file, self.redactor)
        self.end_taping()
        self.taping = taping
        return taping

    def end_taping(self) -> Taping | None:
        """Ends the recording or replay, if there is one: a recording is put in its lasting order.

        Raises ConfigError where the disk refuses that: it has ended, and the file keeps the order in which it was written.
        """
        ended, self.taping = self.taping, None
        if ended is not None:
            ended.close()
        return ended

    @property
    def layers(self) -> Mapping[str, str] | None:
        """What the last worker that started reports of the layers around it: "", or why one is missing; None before the first."""
        return self._pool.layers

    @property
    def narrowed(self) -> dict[str, tuple[Grants, ...]]:
        """By a name to show, what states were narrowed to."""
        return {f"{engine} '{name}'": script.grants for (name, engine), script in self._states.items() if script.grants}

    def warm(self) -> None:
        """Starts a spare worker, so that the first cell need not wait for one."""
        self._pool.warm()

    @property
    def states(self) -> Mapping[tuple[str, str], ScriptState]:
        return self._states

    @property
    def running(self) -> Mapping[tuple[str, str], CellRun]:
        """The cells that run, by the name and engine of their states."""
        return self.cells.running

    def state_of(self, name: str, engine: str) -> ScriptState:
        """That state, made where it is not there yet; it has no worker before it is `ready`."""
        return self._keeper.named(name, engine)

    async def ready(self, script: ScriptState, run: CellRun | None = None) -> None:
        """Gives a state its worker; one that was lost goes through its cells again.

        The cell that needs it tells of that, `run` or the next one.  Raises what it raises there.
        """
        await self._keeper.ready(script, run)

    def function(self, script: ScriptState, callback: Callback) -> KeptFunction:
        """A function that a state has given, to be kept."""
        return KeptFunction(self, script, callback)

    def fresh_state(self, within: EffectContext, engine: str, allow: Sequence[str]) -> AbstractAsyncContextManager[FreshScript]:
        """Context.fresh_state."""
        return fresh_state(within, engine, allow)

    def fresh(self, name: str, engine: str, opening: Opening) -> ScriptState:
        """A state of its own kind, until it is forgotten."""
        return self._keeper.fresh(name, engine, opening)

    def status(self) -> SessionStatus:
        """What each state and its worker use, against what they may; measured now."""
        return status_of(self._states.values(), self.running, self.limits, self._pool, self.worker_pids)

    @property
    def worker_pids(self) -> list[int]:
        return self._pool.pids

    async def run(
        self,
        code: str,
        *,
        engine: str = "lua",
        state: str = "main",
        chunk: str = "cell",
        line_offset: int = 0,
        inputs: Mapping[str, Value] | None = None,
        outputs: Sequence[str] = (),
        sink: Sink | None = None,
        cell: int | None = None,
        timeout_s: float | None = None,
    ) -> ExecutionResult:
        """Runs one cell.  `inputs` are set as globals before, `outputs` read after; `line_offset` counts lines above the code.

        A fault of the script is the result's `error`; what is raised is a wrong call (unknown engine).  `cell` is an id from `next_cell`;
        `timeout_s` is a limit of the total time, where it is lower than that of the settings.
        """
        work = self.sources[chunk] = "\n" * line_offset + code
        return await self.cells.run(Cell(work, code, engine, state, chunk, inputs or {}, outputs, cell, timeout_s), sink)

    async def call_function(
        self,
        name: str,
        *args: Value,
        engine: str = "lua",
        state: str = "main",
        chunk: str = "python",
        sink: Sink | None = None,
        cell: int | None = None,
    ) -> ExecutionResult:
        """Calls a script's global function (`words.count` for one in a table) as a cell of its own: it may call bridges, and limits hold.

        The result's `values` are the function's.  Raises ValueCrossingError or LimitError for arguments that cannot cross.
        """
        if not name:
            raise ScriptError("the name of a function is empty")
        written = write_values(args)
        check_size(written, f"the arguments of {name}", self.limits.value_bytes)
        refuse_references(args, "arguments")
        call = FunctionCall(name, bytes(written))
        return await self.cells.run(Cell(call, call.args.decode(), engine, state, chunk, number=cell), sink)

    def interrupt(self, *, state: str | None = None, engine: str | None = None) -> None:
        """Stops what runs, in every state or in those of that name or engine: their cells, and what cells left in the background.

        May be called in any thread.
        """
        self.cells.interrupt(state, None if engine is None else self.engines.get(engine).name)

    @property
    def background(self) -> list[BackgroundTask]:
        """What goes on although no cell waits for it."""
        return [
            BackgroundTask(name, engine, label)
            for (name, engine), script in self._states.items()
            if script.worker is not None
            for label in script.background_tasks
        ]

    async def background_ended(self) -> None:
        """Waits until nothing goes on in the background."""
        while left := self.cells.background:
            await next(iter(left.values())).ended()

    async def ask(self, kind: QueryKind, text: str, *, engine: str, state: str = "main", open_state: bool = False) -> Any:
        """A question about a state that runs no script code; None where the state is not there or is busy running."""
        name = self.engines.get(engine).name
        script = await self._keeper.ready(self._keeper.named(state, name)) if open_state else self._states.get((state, name))
        if script is None or script.worker is None or script.phase() not in (Phase.IDLE, Phase.WAITING, Phase.LINGERING):
            return None
        return self.redactor.redact_value(loads(await script.query(kind, text)))

    async def get(
        self,
        name: str,
        *,
        engine: str,
        state: str = "main",
        as_type: Any = Any,
        undecided: bool = False,
        sink: Sink | None = None,
    ) -> Any:
        """The value of a script's global.  `as_type` is an annotation (a data class, `list[Row]`, a frame) that it is checked against and made.

        Raises ArgumentError naming the place that does not fit.  `undecided` leaves empty Lua tables as such.  `sink` gets what the init
        script of a fresh state prints.
        """
        script = await self._opened(state, engine, sink)
        value = await read_global(script, name, self.limits.value_bytes, self.redactor, undecided=undecided or as_type is not Any)
        return value if as_type is Any else converted(value, as_type, name)

    async def set(self, name: str, value: Value, *, engine: str, state: str = "main", sink: Sink | None = None) -> None:
        """Sets a script's global; `sink` as in `get`."""
        script = await self._opened(state, engine, sink)
        text = written_global(value, name)
        await script.query("set", name, text)
        script.history.add(PastCell(0, f"{name} = ...", None, [(name, text)]))

    async def call_bridge(self, bridge: str, method: str, *args: Value) -> Value:
        """Calls a bridge from Python as a script does: grants, arguments and sizes are checked, and the journal has it as a call of cell 0.

        Arguments and answer cross as a script's do: a data class is an object.  Raises what refused it, and whatever the bridge raised.
        A method that gives a resource is refused: only a script can hold one.
        """
        idle = ScriptState(PYTHON, PYTHON, self._pool, Opening("", (), 0, self.limits), {}, self.resources)
        run = CellRun(self, idle, 0, "python", RedactedSink(self.sink, self.redactor), self.limits, self.grants)
        run.holds_resources = False
        plain = [to_plain(value, f"argument {position}") for position, value in enumerate(args, 1)]
        try:
            done = await perform(run, EffectContext(run, self.next_call()), Effect(0, bridge, method), plain)
        finally:
            run.end_output()
            run.flush()
        return value_of(done)

    async def bridge(self, name: str) -> Bridge:
        """The session's instance of a bridge, opened at its first call; one that failed to open is tried again by the next call."""
        return await self.bridges.get(name)

    async def add_bridge(self, bridge: Bridge | type[Bridge]) -> None:
        """Makes a bridge known to every state, those already open included: at once, or at its next suspension where a state is running.

        Raises ConfigError for a name that is taken and for needs that cannot be met.
        """
        await asyncio.gather(*self._keeper.declared(self.bridges.add(bridge), []))

    async def remove_bridge(self, name: str) -> None:
        """Takes a bridge away: calls in flight end with an error (code `bridge_removed`), its resources are released, and it is closed.

        Raises ConfigError where there is none, or where another bridge needs it.
        """
        await self.bridges.remove(name, self.resources.release_bridge)
        if name == HOST:
            self._exposed = {}
        await asyncio.gather(*self._keeper.declared(None, [name]))

    @overload
    def expose(self, target: F, *, name: str = "") -> F: ...

    @overload
    def expose(self, target: None = None, *, name: str = "") -> Callable[[F], F]: ...

    def expose(self, target: F | None = None, *, name: str = "") -> F | Callable[[F], F]:
        """Makes a typed Python function callable from every engine as `host.NAME`, or an object's public typed methods as `NAME.method`.

        A decorator: `@session.expose`, `@session.expose(name="find")`.  Exposing a name again replaces it.  A function that is not async runs
        in a thread.  Raises ConfigError for what has no annotations or a name that scripts cannot use, or that another bridge has.
        """
        if target is None:
            return lambda target: self.expose(target, name=name)
        if inspect.isroutine(target):
            functions = {**self._exposed, name or target.__name__: target}
            bridge = exposed_functions(functions)
        else:
            functions = self._exposed
            bridge = exposed_object(target, name)
        known = self.declarations.get(bridge.name)
        if known is not None and not known.exposed:
            mend = "remove that one first" if bridge.name == HOST else "choose another: expose(..., name='...')"
            raise ConfigError(f"expose: '{bridge.name}' is the name of another bridge; {mend}")
        self._keeper.declared(self.bridges.add(bridge, replace=True), [])
        self._exposed = functions
        return target

    @overload
    def tool(self, target: F, **options: Unpack[ToolOptions]) -> F: ...

    @overload
    def tool(self, target: None = None, **options: Unpack[ToolOptions]) -> Callable[[F], F]: ...

    def tool(self, target: F | None = None, **options: Unpack[ToolOptions]) -> F | Callable[[F], F]:
        """Makes a typed Python function a tool, for scripts (`tools.call`) and models; a decorator, with or without options.

        Its annotations say what it takes and its docstring what it does; `name`, `description`, `level`, `version`, `deprecated` and
        `timeout_s` are as in `tools.register`.  A function that is not async runs in a thread.  A name again replaces the function.  Raises
        ConfigError for what has no annotations, a name that no tool can have, or that of a built-in tool.
        """
        if target is None:
            return lambda target: self.tool(target, **options)
        function: Callable[..., Any] = target  # type: ignore[assignment]  # F is what `expose` takes, too
        self.tools.add(python_tool(function, **options))
        return target

    def add_module(self, name: str, source: str, engine: str = "lua") -> None:
        """Registers a module that scripts of that language load with `require(name)`, or replaces it.

        A state that has loaded it keeps what it has until it is reset.  Raises ConfigError for a name or a source that cannot be one.
        """
        self.modules.add(name, source, self.engines.get(engine).name)
        self.sources[chunk_of(name)] = source

    def narrow(self, state: str, engine: str, *, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        """Takes capabilities from a state, from its next cell on and until it ends: nothing gives them back.

        `allow` are the patterns that it keeps of what it has (none given: all of it), `deny` those that it loses.
        """
        self._keeper.narrow(state, self.engines.get(engine).name, allow, deny)

    async def go_back(self, state: str, engine: str, *, to: int) -> Restored:
        """The state as it was after the notebook's cell with that number: the later cells are forgotten.

        Raises ConfigError where the state has no such cell, ScriptError while it is busy or where it cannot be restored, and Interrupted;
        then the state is restored as it was before its next cell.
        """
        self.cells.on_this_loop()
        return await self._keeper.go_back(state, self.engines.get(engine).name, to)

    async def fork(self, new: str, engine: str, *, state: str = "main", at: int | None = None) -> Restored:
        """A second state that went through the same cells, all of them or those up to a number.

        Raises ConfigError for a name that is taken, ScriptError where it cannot be restored, and Interrupted; there is no second state then.
        """
        self.cells.on_this_loop()
        return await self._keeper.fork(new, self.engines.get(engine).name, state, at)

    def save(self, file: Path) -> int:
        """Writes what every state went through to a file, for `resume`; how many cells there are.

        Raises OSError, and ConfigError where what would be written holds a secret.
        """
        return self._keeper.save(file)

    async def resume(self, file: Path) -> dict[tuple[str, str], Restored]:
        """Makes the states of a file that `save` wrote, by (name, engine).

        Raises LoadError, ConfigError where one is there already, ScriptError where one cannot be restored, and Interrupted; then it makes
        none of them.
        """
        self.cells.on_this_loop()
        return await self._keeper.resume(file)

    async def forget(self, name: str, engine: str) -> None:
        """Ends a state: its variables, resources and worker."""
        await self._keeper.forget((name, self.engines.get(engine).name))

    async def close(self) -> None:
        """Ends every state, bridge and worker.  Who resists is left behind after `workers.shutdown_s`.  Safe to call again."""
        self.interrupt()
        self._pulse.stop()
        limit_s = self.shutdown_s
        try:
            async with asyncio.timeout(limit_s) as deadline:
                await self._end_all()
        except TimeoutError as error:
            if not deadline.expired():
                raise
            report(f"the session did not end within {limit_s:g} s; its workers were killed", error)
        finally:
            self._pool.close()
            try:
                self.end_records()
            except ConfigError as error:  # what the cells gave is not lost for it
                self.lost_records.append(error.message)
                report("the session's records", error)

    def end_records(self) -> None:
        """Ends what is written beside the session: cassette and journal.  Awaits nothing; safe to call again.

        Raises ConfigError as `end_taping`; both have ended all the same.
        """
        try:
            self.end_taping()
        finally:
            self.end_journal()

    async def _end_all(self) -> None:
        await asyncio.gather(*(self.forget(name, engine) for name, engine in tuple(self._states)))
        self._keeper.tell_no_more()
        await self.bridges.close()
        await self.budgets.close()

    @property
    def shutdown_s(self) -> float:
        """How long `close` may take."""
        return self._pool.policy.shutdown_s

    def kill(self) -> None:
        """Ends every worker at once, without asking anyone: for the end of the process, in any thread."""
        self._pool.kill()

    def null_word(self, engine: str) -> str:
        """The language's word for nothing; a call from Python has Python's."""
        return "None" if engine == PYTHON else self.engines.get(engine).null

    def next_cell(self) -> int:
        self.last_cell += 1
        return self.last_cell

    def next_call(self) -> int:
        self._last_call += 1
        return self._last_call

    def next_place(self) -> int:
        """Of what happens to a call, among all that were asked and answered."""
        self._last_place += 1
        return self._last_place

    async def _opened(self, name: str, engine: str, sink: Sink | None) -> ScriptState:
        return await self.cells.opened(self.state_of(name, self.engines.get(engine).name), sink or self.sink)


def _policies(settings: Settings) -> dict[str, Any]:
    """By name, what bridges are told of the policy."""
    return {"network": table_of(settings, NetworkPolicy), "files": table_of(settings, FilePolicy)}


def _refuse(settings: Settings) -> None:
    """Raises ConfigError for what is read again where it is taken up, after other things have changed."""
    sources_of(settings.secrets)
    table_of(settings, Budgets)


def _nothing() -> None:
    pass
