"""One notebook: a session behind IPython's cells, and the name `llmspell` in its Python namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ..engines._registry import EngineRegistry
from ..errors import ConfigError, Interrupted, SpellError, ValueCrossingError, nearest
from ..journal.events import AnyEvent, CallChunk, CallFinished
from ..policy.limits import PRESETS
from ..render.errors import error_name, traceback_lines
from ..render.values import bundle
from ..session import Outcome, Session
from ..settings import Settings
from ..values import Opaque, Value, dumps
from ..workers.pool import WorkerPool
from ..workers.spawn import WorkerProcess
from .cells import CellOptions, parse_options
from .display import LiveView
from .interrupt import on_interrupt
from .output import CellOutput, Publisher


class Notebook:
    """Made once a shell, at its first script cell; `spare` is a worker that the shell's start has begun to start."""

    def __init__(self, shell: Any, settings: Settings, engines: EngineRegistry, spare: WorkerProcess | None = None) -> None:
        self.shell = shell
        self.settings = settings
        limits = PRESETS[settings.preset]
        pool = WorkerPool(engines.interpreters(), startup_s=limits.startup_s, spare=spare)
        self.session = Session(settings=settings, pool=pool, engines=engines, limits=limits)
        self.values: list[Value] = []
        """The results of the last script cell."""
        self._stop_soon = False
        self.keeps_globals = False
        """In a stock kernel: are the globals of each language read after its cells, for completion?"""
        self.seen_globals: dict[str, list[list[str]]] = {}

    async def run_cell(self, engine: str, line: str, code: str, offset: int) -> None:
        """What a script cell becomes.  Raises the script's error, rendered without our frames."""
        number = self.session.next_cell()
        output = CellOutput(self.shell)
        # prompt_count is this cell's number whether the shell counts up before or after running it (IPython changed that in 9.15)
        chunk = f"cell[{self.shell.displayhook.prompt_count}]"
        try:
            name = self.session.engines.get(engine).name
            options = parse_options(line, engine)
            inputs = self._inputs(options.inputs)
        except SpellError as error:
            raise self._shown(error) from None
        view = LiveView(number, self.session.recorder, Publisher(output), self.settings.display, self.session.interrupt)
        try:
            with on_interrupt(self.session.interrupt):
                running = self.session.run(
                    code,
                    engine=name,
                    state=options.state,
                    chunk=chunk,
                    line_offset=offset,
                    inputs=inputs,
                    outputs=options.outputs,
                    sink=output,
                    cell=number,
                )
                task = asyncio.ensure_future(running)
                if self._stop_soon:
                    asyncio.get_running_loop().call_soon(self.session.interrupt)
                outcome = await self._to_its_end(task)
        finally:
            self._stop_soon = False
            view.finish()
        self.session.sources[chunk] = _as_seen(engine, line, code, offset)
        if self.keeps_globals:
            self.seen_globals[name] = await self.session.ask("members", "", engine=name, state=options.state) or []
        self._take(outcome, options, output, self.session.engines.get(engine).null)

    def stop_soon(self) -> None:
        """A stop that came before the cell could take it: it ends the cell when it begins."""
        self._stop_soon = True

    async def _to_its_end(self, running: asyncio.Future[Outcome]) -> Outcome:
        """A cell whose task is cancelled (ipykernel's own answer to an early interrupt) is stopped as by the stop button: the state stays."""
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if running.cancelled():
                raise
            self.session.interrupt()
            return await running

    async def run(self, code: str, *, engine: str = "lua", state: str = "main") -> Any:
        """Runs a script from Python; its value (a tuple of several Lua results).  Raises SpellError."""
        outcome = await self.session.run(code, engine=engine, state=state, chunk="python", sink=CellOutput(self.shell))
        if outcome.error is not None:
            raise self._shown(outcome.error)
        return _as_python(outcome.values)

    async def get(self, name: str, *, engine: str = "lua", state: str = "main") -> Value:
        """The value of a script's global."""
        return await self.session.get(name, engine=engine, state=state)

    async def set(self, name: str, value: Value, *, engine: str = "lua", state: str = "main") -> None:
        """Sets a script's global."""
        await self.session.set(name, value, engine=engine, state=state)

    @property
    def states(self) -> list[tuple[str, str, str]]:
        """(state, engine, phase) of every state there is."""
        return [(name, engine, state.phase().value) for (name, engine), state in sorted(self.session.states.items())]

    async def reset(self, state: str = "main", engine: str = "lua") -> None:
        """Ends a state; the next cell that names it gets a new one."""
        await self.session.forget(state, engine)

    def close(self) -> None:
        """Ends every worker; for the end of the process, when no event loop runs any more."""
        self.session.kill()

    def __repr__(self) -> str:
        lines = [f"llmspell: {len(self.states)} states"]
        return "\n".join(lines + [f"  {engine} '{name}': {phase}" for name, engine, phase in self.states])

    def _inputs(self, names: Sequence[str]) -> dict[str, Value]:
        found = {}
        for name in names:
            if name not in self.shell.user_ns:
                known = [known for known in self.shell.user_ns if not known.startswith("_")]
                raise ConfigError(f"--in {name}: there is no Python variable '{name}'{nearest(name, known)}")
            try:
                dumps(self.shell.user_ns[name])
            except ValueCrossingError as error:
                raise ConfigError(f"--in {name}: {error.message}") from None
            found[name] = self.shell.user_ns[name]
        return found

    def _take(self, outcome: Outcome, options: CellOptions, output: CellOutput, null: str) -> None:
        if outcome.error is not None:
            raise self._shown(outcome.error)
        self.values = outcome.values
        self.shell.user_ns.update(outcome.outputs)
        data = bundle(outcome.values, null=null)
        if data is None or self._was_streamed(outcome):
            if outcome.values:
                self.shell.user_ns["_"] = _as_python(outcome.values)
            return
        output.result(_as_python(outcome.values), data)

    def _was_streamed(self, outcome: Outcome) -> bool:
        """The result is the very text that the cell's view has just shown: showing it twice helps nobody."""
        if len(outcome.values) != 1 or not isinstance(outcome.values[0], str):
            return False
        return bool(_last_answer(self.session.recorder.of_cell(outcome.cell)) == outcome.values[0])

    def _shown(self, error: SpellError) -> BaseException:
        lines = traceback_lines(error, self.session.sources, colour=True)
        if isinstance(error, Interrupted):
            return stopped(error.message, lines)
        # front ends show the class's name: the language's own (TypeError) tells more than ours; the class stays catchable as what it is
        error.__class__ = type(error_name(error), (type(error),), {"_render_traceback_": lambda self: lines})
        return error


def stopped(message: str, lines: list[str]) -> KeyboardInterrupt:
    """A KeyboardInterrupt (the name that front ends and nbclient look for) with our text."""
    kind = type("KeyboardInterrupt", (KeyboardInterrupt,), {"_render_traceback_": lambda self: lines})
    found: KeyboardInterrupt = kind(message)
    return found


def _as_seen(engine: str, line: str, code: str, offset: int) -> str:
    """The cell's text for code frames: the magic's line stands where the script has an empty one."""
    above = "\n" * (offset - 1) + f"%%{engine} {line}".rstrip() + "\n" if offset else ""
    return (above + code).rstrip()


def _last_answer(events: Sequence[AnyEvent]) -> Any:
    streamed = {event.call for event in events if isinstance(event, CallChunk)}
    finished = [event for event in events if isinstance(event, CallFinished) and event.call in streamed]
    return finished[-1].value if finished else None


def _as_python(values: Sequence[Value]) -> Any:
    plain = [value.text if isinstance(value, Opaque) else value for value in values]
    if not plain:
        return None
    return plain[0] if len(plain) == 1 else tuple(plain)
