"""One notebook: a session behind IPython's cells, and the name `llmspell` in its Python namespace."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Unpack

from ..bridges._python_tools import ToolOptions
from ..configuration.rules import Entry, apply, entry_of
from ..configuration.sources import names_of
from ..engines._registry import EngineRegistry
from ..errors import ConfigError, Frame, Interrupted, ScriptError, SpellError, nearest
from ..host_types._registry import register_type
from ..journal.events import AnyEvent, CallChunk, CallFinished
from ..journal.spending import BY, By, ledger, rows
from ..journal.spending import Line as LedgerLine
from ..observe.observation import Observation
from ..policy.observe import ObservePolicy
from ..policy.tables import table_of
from ..render.errors import error_name, traceback_lines
from ..render.text import plural
from ..render.values import bundle
from ..services.modules import chunk_of
from ..services.secrets import Secrets
from ..session import BackgroundTask, ExecutionResult, Session
from ..session.taping import MODES, Mode, Taping
from ..settings import Origin, Settings
from ..values import Value
from ..workers.spawn import WorkerProcess
from . import variables
from .approval import approver_for
from .cassettes import cassette_of, states_file_of
from .cells import parse_options
from .display import LiveView
from .frameless import named_stop, with_lines
from .interrupt import EarlyStop, StopSignal
from .output import CellOutput
from .states import ScriptStateHandle, States

log = logging.getLogger(__name__)
OF_STATES = {
    "seed",
    "confinement",
    *(f"limits.{name}" for name in ("memory_bytes", "value_bytes", "stack_bytes", "startup_s", "history_bytes")),
}


class Notebook:
    """Made once a shell, at its first script cell; `spare` is a worker that the shell's start has begun to start."""

    register_type = staticmethod(register_type)

    def __init__(
        self,
        shell: Any,
        settings: Settings,
        engines: EngineRegistry,
        spare: WorkerProcess | None = None,
        early_stop: EarlyStop | None = None,
    ) -> None:
        self.shell = shell
        self.session = Session(settings=settings, engines=engines, spare=spare, approver=approver_for(shell))
        if settings.keep_journal:
            self.session.keep_journal()
        try:
            self._tape_as_set(settings)
            self._observation = Observation(table_of(settings, ObservePolicy), os.environ)
        except SpellError:
            self.session.end_records()
            self.session.kill()
            raise
        self._observation.start(self.session.recorder)
        self.values: list[Value] = []
        """The results of the last script cell."""
        self._early_stop = early_stop or EarlyStop()
        self.stop_signal = StopSignal(self.session.interrupt)
        self._ending: dict[tuple[str, str], None] = {}
        """States that `%llmspell reset` has ended, but whose end could not be awaited there."""
        self._ends: set[asyncio.Task[None]] = set()
        self._runs_from_python = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
        self.keeps_globals = False
        """In a stock kernel: are the globals of each language read after its cells, for completion?"""
        self.seen_globals: dict[tuple[str, str], list[list[str]]] = {}
        """By (engine, state)."""

    async def run_cell(self, engine: str, line: str, code: str, offset: int) -> None:
        """What a script cell becomes.  Raises the script's error, rendered without our frames."""
        try:
            await self._run_cell(engine, line, code, offset)
        finally:
            self._early_stop.asked = False

    async def _run_cell(self, engine: str, line: str, code: str, offset: int) -> None:
        number = self.session.next_cell()
        output = CellOutput(self.shell, self.settings.display)
        chunk = f"cell[{self.cell_number}]"
        try:
            language = self.session.engines.get(engine)
            options = parse_options(line, engine)
            inputs = variables.given(options.inputs, self.shell.user_ns)
            targets = variables.targets_of(options.outputs, self.shell.user_ns)
        except SpellError as error:
            raise self._shown(error) from None
        await self._end_reset_states()
        if options.allow or options.deny:
            self.session.narrow(options.state, language.name, allow=options.allow, deny=options.deny)
        if options.module:
            self.session.sources[chunk] = _as_seen(engine, line, code, offset)
            return await self._add_module_cell(options.module, chunk, code, offset, language.name)
        view = LiveView(number, self.session.recorder, output, self.session.settings.display, self.session.interrupt)
        output.on_clear = view.cleared
        running = self.session.run(
            code,
            engine=language.name,
            state=options.state,
            chunk=chunk,
            line_offset=offset,
            inputs=inputs,
            sink=output,
            cell=number,
        )
        with self.stop_signal.taken():
            try:
                outcome = await self._to_its_end(running, options.state, language.name)
            finally:
                output.finish()
                view.finish()
            self.session.sources[chunk] = _as_seen(engine, line, code, offset)
            wanted = targets if outcome.error is None else {}
            missing = await variables.take(wanted, self.shell.user_ns, self.session, language.name, options.state)
            if self.keeps_globals:
                await self._note_globals(language.name, options.state)
        self._take(outcome, output, language.null)
        if missing:
            raise self._shown(ConfigError("\n".join(missing)))

    @property
    def cell_number(self) -> int:
        """As the notebook shows it.

        prompt_count is this cell's number whether the shell counts up before or after running it (IPython changed that in 9.15).
        """
        return int(self.shell.displayhook.prompt_count)

    async def _add_module_cell(self, name: str, chunk: str, code: str, offset: int, engine: str) -> None:
        """A cell with `--module NAME` is not run: it becomes a module, if it is one whole piece of its language."""
        try:
            answer = await self.session.ask("is_complete", code.rstrip(), engine=engine, open_state=True)
            if isinstance(answer, dict) and answer["status"] != "complete":
                raise _no_module(name, engine, answer, chunk, offset)
            known = (name, engine) in set(self.session.modules)
            self.session.add_module(name, "\n" * offset + code, engine)
        except SpellError as error:
            raise self._shown(error) from None
        self.session.sources[chunk_of(name)] = self.session.sources[chunk]
        keeps = "; a state that has loaded it keeps the old one until %llmspell reset" if known else ""
        print(f"The {engine} module '{name}' is registered: require('{name}'){keeps}")

    async def _to_its_end(self, cell: Awaitable[ExecutionResult], state: str, engine: str) -> ExecutionResult:
        """Whoever waits may be cancelled (ipykernel's own answer to an early interrupt): that is a stop as by the button, the state stays."""
        running = asyncio.ensure_future(cell)
        if self._early_stop.asked:
            asyncio.get_running_loop().call_soon(self.session.interrupt)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if running.cancelled():
                raise
            self.session.interrupt(state=state, engine=engine)
            return await running

    async def _note_globals(self, engine: str, state: str) -> None:
        """Reads the names for completion.  Whatever goes wrong with that, the cell ended as it ended."""
        try:
            self.seen_globals[engine, state] = await self.session.ask("members", "", engine=engine, state=state) or []
        except Exception:
            log.warning("the globals of the %s state '%s' could not be read for completion", engine, state, exc_info=True)

    async def run(self, code: str, *, engine: str = "lua", state: str = "main") -> Any:
        """Runs a script from Python; its value (a tuple of several Lua results).

        Raises SpellError; CancelledError when the script was stopped, or who waits for it is cancelled: the state stays.
        """
        return await self._from_python(engine, state, lambda how: self.session.run(code, engine=engine, state=state, **how))

    async def call(self, name: str, *args: Value, engine: str = "lua", state: str = "main") -> Any:
        """Calls a script's global function from Python; its value and what it raises are as for `run`."""
        return await self._from_python(
            engine, state, lambda how: self.session.call_function(name, *args, engine=engine, state=state, **how)
        )

    async def _from_python(self, engine: str, state: str, begin: Callable[[dict[str, Any]], Awaitable[ExecutionResult]]) -> Any:
        await self._end_reset_states()
        task = asyncio.current_task()
        assert task is not None
        cancels = task.cancelling()
        self._runs_from_python += 1
        output = CellOutput(self.shell, self.settings.display)
        how = {"chunk": f"python[{self._runs_from_python}]", "sink": output}
        with self.stop_signal.taken():
            try:
                outcome = await self._to_its_end(begin(how), state, engine)
            finally:
                output.finish()
        if task.cancelling() > cancels:
            raise asyncio.CancelledError
        if isinstance(outcome.error, Interrupted):
            # a KeyboardInterrupt out of a task of the author's own, as in asyncio.gather, would end the kernel's event loop
            raise named_stop(asyncio.CancelledError, outcome.error.message, self._lines(outcome.error))
        if outcome.error is not None:
            raise self._shown(outcome.error)
        return outcome.value

    async def get(self, name: str, *, engine: str = "lua", state: str = "main", as_type: Any = Any) -> Any:
        """The value of a script's global; with `as_type` (a class, `list[Row]`, `pandas.DataFrame`) made into that type."""
        await self._end_reset_states()
        output = CellOutput(self.shell, self.settings.display)
        try:
            return await self.session.get(name, engine=engine, state=state, as_type=as_type, sink=output)
        except SpellError as error:
            raise self._shown(error) from None
        finally:
            output.finish()

    async def set(self, name: str, value: Value, *, engine: str = "lua", state: str = "main") -> None:
        """Sets a script's global."""
        await self._end_reset_states()
        output = CellOutput(self.shell, self.settings.display)
        try:
            await self.session.set(name, value, engine=engine, state=state, sink=output)
        except SpellError as error:
            raise self._shown(error) from None
        finally:
            output.finish()

    @property
    def settings(self) -> Settings:
        """What holds for the next cell; `configure` changes it."""
        return self.session.settings

    def configure(self, *pairs: str) -> list[str]:
        """Changes settings for this notebook, each given as `KEY=VALUE`; what each change waits for.

        Raises ConfigError, and LoadError for a cassette that cannot be played; then nothing is changed.  Where only what was recorded until now
        cannot be ended, nothing is recorded any more (`journal=off`), and the rest is changed.
        """
        layer = [entry_of(pair, Origin("%llmspell config")) for pair in pairs]
        self._change(layer)
        return [f"{entry.key}: {_applies_to(entry.key, bool(self.states))}" for entry in layer]

    def _change(self, layer: Sequence[Entry]) -> None:
        before, changed = self.session.settings, {entry.key for entry in layer}
        settings = apply(before, layer, engines=names_of(self.session.engines))
        observation = self._observation
        if any(key.startswith("observe.") for key in changed):
            observation = Observation(table_of(settings, ObservePolicy), os.environ)
        try:
            self.session.configure(settings)
            unended = self._retape(settings, before) if {"journal", "cassette"} & changed else None
        except (SpellError, OSError):
            if observation is not self._observation:
                observation.close()
            raise
        if settings.keep_journal and not before.keep_journal:
            self.session.keep_journal()
        elif not settings.keep_journal:
            self.session.end_journal()
        self._observe(observation)
        if unended is not None:
            raise unended

    def _retape(self, settings: Settings, before: Settings) -> Exception | None:
        """Records or replays as the settings say.  Where it raises, what went on goes on, with the settings before.

        Gives why what went on could not be ended: then nothing goes on, and the settings say so.
        """
        taping = self.session.taping
        try:
            self._tape_as_set(settings)
        except (SpellError, OSError) as error:
            if self.session.taping is taping:
                self.session.configure(before)
                raise
            self.session.configure(settings._replace(journal="off"))
            return error
        return None

    def _observe(self, observation: Observation) -> None:
        if observation is not self._observation:
            self._observation.close()  # before the next one takes its port
            self._observation = observation
            observation.start(self.session.recorder)

    def _tape_as_set(self, settings: Settings) -> None:
        if settings.journal == "off":
            self.session.end_taping()
        else:
            self.session.tape(_mode(settings.journal), cassette_of(settings.cassette, os.environ, self.session.folder, settings.journal))

    def tape(self, mode: str, file: str = "") -> Taping:
        """From the next cell on, calls are recorded in a cassette ("record"), answered from it ("replay"), or both ("auto").

        Changes the settings `journal` and, where a file is given, `cassette`; else that one is used, or NAME.cassette.jsonl beside the
        notebook.  Raises as `configure`.
        """
        origin = Origin("%llmspell record" if _mode(mode) == "record" else "%llmspell replay")
        self._change([Entry("journal", mode, origin), *([Entry("cassette", file, origin)] if file else [])])
        taping = self.session.taping
        assert taping is not None, "else it was told why not"
        return taping

    def states_file(self, file: str = "") -> Path:
        """Where states are saved: NAME.states.jsonl beside the notebook where no file is named."""
        return states_file_of(file, os.environ, self.session.folder)

    def cost(self, by: Sequence[By] = BY) -> list[dict[str, Any]]:
        """What models took so far, a dict a line: `pandas.DataFrame(llmspell.cost())`."""
        return rows(self.ledger(by))

    def ledger(self, by: Sequence[By]) -> list[LedgerLine]:
        """The same as lines; says so where the session was too long for its memory to hold all of it."""
        if dropped := self.session.recorder.dropped:
            told = f"This is less than was used: the oldest {plural(dropped, 'event')} of this session are no longer in memory."
            print(f"{told} Where a journal is kept, `llmspell cost` adds up all of it.", file=sys.stderr)
        return ledger(self.session.recorder, by)

    def end_taping(self) -> Taping | None:
        """Ends what `tape` or the settings began, and sets `journal` to "off"; None where nothing was.

        Raises ConfigError where a recording could not be put in order: it has ended all the same.
        """
        taping = self.session.taping
        if taping is not None:
            self._change([Entry("journal", "off", Origin(f"%llmspell {'record' if taping.mode == 'record' else 'replay'} off"))])
        return taping

    @property
    def policy(self) -> dict[str, Any]:
        """What scripts may call and use, where each rule comes from, and the layers around the workers: what `%llmspell policy` shows."""
        from ..configuration.policy_overview import overview

        return overview(self.session.settings, self.session.layers, self.session.narrowed)

    def narrow(self, state: str = "main", engine: str = "lua", *, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        """Takes capabilities from a state until it ends: `allow` are those it keeps (none given: all), `deny` those it loses."""
        self.session.narrow(state, engine, allow=allow, deny=deny)

    @property
    def secrets(self) -> Secrets:
        """Names, and `set(name, value, hosts=["api.example.com"])`; scripts never see a value."""
        return self.session.secrets

    @property
    def background(self) -> list[BackgroundTask]:
        """What goes on although no cell waits for it."""
        return self.session.background

    def stop(self, state: str | None = None, engine: str | None = None) -> None:
        """Ends what goes on in the background, and the cells that run."""
        self.session.interrupt(engine=engine, state=state)

    def status(self) -> dict[str, Any]:
        """What each state and its worker use, against what they may, as plain data: `{"states": [{...}], "pool": {...}}`."""
        return self.session.status().plain()

    @property
    def states(self) -> States:
        """(state, engine, phase) of every state there is; `states["lua"]` is the way to one, see `kernel.states`."""
        there = sorted(key for key in self.session.states if key not in self._ending)
        return States([(*key, self.session.states[key].phase().value) for key in there], self._handle)

    def _handle(self, engine: str, state: str) -> ScriptStateHandle:
        try:
            return ScriptStateHandle(self, self.session.engines.get(engine).name, state)
        except ConfigError as error:
            raise self._shown(error) from None

    def home_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop in which scripts run: the kernel's, or the one that IPython in a terminal runs cells in."""
        if self._loop is None:
            from IPython.core.async_helpers import get_asyncio_loop

            self._loop = get_asyncio_loop()
        return self._loop

    def expose(self, target: Any = None, *, name: str = "") -> Any:
        """Makes a typed Python function callable from scripts, as `host.NAME`, or an object's methods; see `Session.expose`."""
        try:
            return self.session.expose(target, name=name)
        except SpellError as error:
            raise self._shown(error) from None

    def tool(self, target: Any = None, **options: Unpack[ToolOptions]) -> Any:
        """Makes a typed Python function a tool, for scripts and models; a decorator; see `Session.tool`."""
        if target is None:
            return lambda target: self.tool(target, **options)
        try:
            return self.session.tool(target, **options)
        except SpellError as error:
            raise self._shown(error) from None

    async def call_tool(self, name: str, **arguments: Value) -> Any:
        """Calls a tool from Python, whoever wrote it: `await llmspell.call_tool("weather", city="Paris")`.  Raises what it raises."""
        try:
            return await self.session.call_bridge("tools", "call", name, arguments)
        except SpellError as error:
            raise self._shown(error) from None

    def add_module(self, name: str, source: str, engine: str = "lua") -> None:
        """Registers a module that scripts load with `require(name)`; a state that has loaded it keeps what it has until it is reset."""
        try:
            self.session.add_module(name, source, engine)
        except SpellError as error:
            raise self._shown(error) from None

    async def reset(self, state: str = "main", engine: str = "lua") -> None:
        """Ends a state; the next cell that names it gets a new one."""
        self.reset_soon(state, engine)
        await self._end_reset_states()

    def reset_soon(self, state: str, engine: str) -> None:
        """`reset` where nothing can be awaited: the state ends when the event loop next runs, before any other script.

        Raises ConfigError where there is no such state.
        """
        key = (state, self.session.engines.get(engine).name)
        known = [key for key in self.session.states if key not in self._ending]
        if key not in known:
            raise ConfigError(f"there is no {key[1]} state '{state}'{nearest(state, [name for name, of in known if of == key[1]])}")
        self._ending[key] = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # IPython in a terminal: the next script cell ends it
        task = loop.create_task(self._end_reset_states())
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _end_reset_states(self) -> None:
        while self._ending:
            key = next(iter(self._ending))
            del self._ending[key]  # before anything is awaited: another script may come here meanwhile
            await self.session.forget(*key)

    async def shut_down(self) -> None:
        """Ends the session in order, as far as its own event loop gets to it in time; the workers end in any case."""
        if self._loop is not None and self._loop.is_running():
            ending = asyncio.run_coroutine_threadsafe(self.session.close(), self._loop)
            await asyncio.wait({asyncio.wrap_future(ending)}, timeout=self.session.shutdown_s)
        self.close()

    def close(self) -> None:
        """Ends every worker; for the end of the process, when no event loop runs any more."""
        try:
            self.session.end_records()
        finally:
            self.session.kill()
            self._observation.close()

    def __repr__(self) -> str:
        lines = [f"llmspell: {len(self.states)} states"]
        return "\n".join(lines + [f"  {engine} '{name}': {phase}" for name, engine, phase in self.states])

    def _take(self, outcome: ExecutionResult, output: CellOutput, null: str) -> None:
        if outcome.error is not None:
            raise self._shown(outcome.error)
        self.values = outcome.values
        data = bundle(outcome.values, null=null)
        if data is None or self._was_streamed(outcome):
            if outcome.values:
                self.shell.user_ns["_"] = outcome.value
            return
        output.result(outcome.value, data)

    def _was_streamed(self, outcome: ExecutionResult) -> bool:
        """The result is the very text that the cell's view has just shown: showing it twice helps nobody."""
        if len(outcome.values) != 1 or not isinstance(outcome.values[0], str):
            return False
        return bool(_last_answer(self.session.recorder.of_cell(outcome.cell)) == outcome.values[0])

    def _lines(self, error: SpellError) -> list[str]:
        return traceback_lines(error, self.session.sources, colour=True, titles=self.session.engines.titles())

    def _shown(self, error: SpellError) -> BaseException:
        lines = self._lines(error)
        if isinstance(error, Interrupted):
            return named_stop(KeyboardInterrupt, error.message, lines)
        # front ends show the class's name: the language's own (TypeError) tells more than ours; the class stays catchable as what it is
        return with_lines(error, error_name(error), lines)


def _mode(mode: str) -> Mode:
    """Raises ConfigError for what is none."""
    known = next((known for known in MODES if known == mode), None)
    if known is None:
        raise ConfigError(f"there is no '{mode}'{nearest(mode, MODES)}")
    return known


def _applies_to(key: str, has_states: bool) -> str:
    """When a change takes hold, in words for the user.  A worker keeps the seed and the limits that its state was opened with."""
    if (key in OF_STATES or key.startswith("init.")) and has_states:
        return "for states opened from now on (a state that is there keeps its own; `%llmspell reset` ends it)"
    if key == "preset" and has_states:
        later = "its limits of memory, stack and of a value's size, its layers and what its languages lack"
        return f"from the next cell; {later} only for states opened from now on"
    return "from the next cell"


def _no_module(name: str, engine: str, answer: Mapping[str, Any], chunk: str, offset: int) -> ScriptError:
    """The parser's complaint at its line of the cell, as for a cell that runs."""
    said = f": {message}" if (message := answer.get("message")) else f": as {engine}, the cell is {answer['status']}"
    line = answer.get("line", 0)
    frames = [Frame(chunk, line + offset)] if line else []
    return ScriptError(f"the module '{name}' is not registered{said}", name="SyntaxError", frames=frames, engine=engine)


def _as_seen(engine: str, line: str, code: str, offset: int) -> str:
    """The cell's text for code frames: the magic's line stands where the script has an empty one."""
    above = "\n" * (offset - 1) + f"%%{engine} {line}".rstrip() + "\n" if offset else ""
    return (above + code).rstrip()


def _last_answer(events: Sequence[AnyEvent]) -> Any:
    """None also where a hook has changed what was shown."""
    streamed = {event.call for event in events if isinstance(event, CallChunk)}
    last = next((event for event in reversed(events) if isinstance(event, CallFinished) and event.call in streamed), None)
    shown = "" if last is None else "".join(event.text for event in events if isinstance(event, CallChunk) and event.call == last.call)
    return last.value if last is not None and last.value == shown else None
