"""The states of a session: made when they are first used, opened, restored where they were lost, taken back, copied, saved and ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..bridges._outlines import Outline, whole_catalogue
from ..errors import ConfigError, LoadError, ScriptError, SpellError, WorkerLost, nearest, not_begun
from ..journal.events import StateOpened, StateRestored, WorkerWasLost
from ..policy.decide import narrowed
from ..policy.presets import PRESETS
from ..protocol.transitions import Phase
from ..settings import PYTHON
from ..workers.pool import WorkerPool
from .cell_run import CellRun
from .faults import report
from .history import History, PastCell
from .pulse import Pulse
from .recovery import Restored, RestoreFailed, restore
from .redacted import RedactedSink
from .saved_states import SavedState, load, rules_of, save
from .script_state import Opening, ScriptState
from .sink import NullSink

if TYPE_CHECKING:
    from .background import BackgroundRun
    from .session import Session

RESTORE_ATTEMPTS = 3
"""A cell that ends its worker when it runs again is left out, and the others are tried once more."""
AGAIN_NOW = "this cell runs in a new one, so run the cells above again that made what it needs"
Key = tuple[str, str]
"""Name and engine."""


class StateKeeper:
    """`states` is filled and emptied here alone; `runs` are the cells that run, and whatever holds a state as a cell does, `background` is
    what others left behind."""

    def __init__(
        self,
        session: Session,
        pool: WorkerPool,
        pulse: Pulse,
        states: dict[Key, ScriptState],
        runs: dict[Key, CellRun],
        background: dict[Key, BackgroundRun],
    ) -> None:
        self._session = session
        self._pool = pool
        self._pulse = pulse
        self.states = states
        self._runs = runs
        self._background = background
        self._last_number = 0
        self._telling: set[asyncio.Task[None]] = set()

    def named(self, name: str, engine: str) -> ScriptState:
        key = (name, engine)
        if key not in self.states:
            session = self._session
            self.states[key] = ScriptState(name, engine, self._pool, self._opening(engine), session.bridges.catalogue(), session.resources)
        return self.states[key]

    def fresh(self, name: str, engine: str, opening: Opening) -> ScriptState:
        """A state that is opened as its maker says, whatever the settings are."""
        script = self.named(name, engine)
        script.fixed = script.opened_with = opening
        script.limits, script.history = opening.limits, History(opening.limits.history_bytes)
        return script

    async def ready(self, script: ScriptState, run: CellRun | None = None) -> ScriptState:
        """Makes sure that the state has its worker; the cell that needs it tells what became of the last one."""
        async with script.opening:
            await self._get_ready(script, run)
        if run is not None:
            for note in script.notes:
                run.write("stderr", f"{note}\n")
            script.notes.clear()
        return script

    async def _get_ready(self, script: ScriptState, run: CellRun | None) -> None:
        script.notice_end()
        if script.worker is None:
            await self._open(script, run)
        await self._tell(script)

    def narrow(self, state: str, engine: str, allow: Sequence[str], deny: Sequence[str]) -> None:
        script = self.named(state, engine)
        rules = narrowed(state, tuple(allow), tuple(deny))
        if rules not in script.grants:
            script.grants = (*script.grants, rules)

    async def forget(self, key: Key) -> None:
        """Ends a state: its variables, resources and worker."""
        script = self.states.pop(key, None)
        if script is not None:
            await self._leave_worker(script)
            script.close()

    # -- opening

    def _opening(self, engine: str) -> Opening:
        """As a state of that language is opened now."""
        session, settings = self._session, self._session.settings
        left_out = session.engines.get(engine).names_of(PRESETS[settings.preset].left_out)
        return Opening(settings.preset, left_out, settings.seed, session.limits)

    async def _open(self, script: ScriptState, run: CellRun | None) -> None:
        """A worker for a state: a fresh one, or for a state that was lost, one that went through the same cells."""
        session, cell = self._session, 0 if run is None else run.cell
        if (lost := script.untold_loss()) is not None:
            # it died between two cells: the next one must not find its variables gone without a word
            session.recorder.record(WorkerWasLost(cell, time.time(), script.name, lost.reason, script.engine))
            if not script.history:
                why = "; ".join(filter(None, (lost.reason, script.history.full)))
                script.notes.append(f"the {script.engine} state '{script.name}' was lost with its variables ({why}): {AGAIN_NOW}")
        session.engines.check(script.engine)
        for attempts_left in reversed(range(RESTORE_ATTEMPTS + 1)):
            if not script.history:
                script.opened_with = script.fixed or self._opening(script.engine)
                script.history = History(script.opened_with.limits.history_bytes)  # what was too much for the last one counts no more
                script.entropy = self._entropy(script)
            await session.resources.release_state(script.number)
            self._last_number += 1
            await script.ready(self._last_number, run.tell if run is not None else _tell_nobody)
            self._pulse.start()
            session.recorder.record(StateOpened(cell, time.time(), script.engine, script.name, script.opened_with.seed, script.entropy))
            if not script.history or await self._restored(script, run, attempts_left):
                return

    def _entropy(self, script: ScriptState) -> str:
        """What is recorded has the same ids when it is replayed: also in a state that was lost in its first cell, which no replay loses."""
        if (taping := self._session.taping) is None:
            return ""
        return script.entropy or taping.entropy(script.opened_with.seed, script.engine, script.name)

    async def _restored(self, script: ScriptState, run: CellRun | None, attempts_left: int) -> bool:
        """Runs the finished cells again.  False where one of them could not: then that one is left out the next time.

        Whatever ends it before its end ends the worker too: half a state is none, and the next cell begins anew.
        """
        session = self._session
        title = session.engines.get(script.engine).title
        limits, time_s = script.limits, script.time_s
        try:
            restored, past = await restore(session, script, script.history.cells, limits.restore_s, run)
        except RestoreFailed as failure:
            script.close()
            script.history.replace(failure.remaining if attempts_left > 1 else [])
            if not script.history:
                script.notes.append(f"{title} state not restored: {failure.message}; {AGAIN_NOW}")
            return False
        except BaseException:
            script.close()
            raise
        finally:
            script.limits, script.time_s = limits, time_s
        script.history.replace(past)
        script.last_restored, script.is_fresh = restored, False  # the init script was the first of its cells
        left_out = [list(one) for one in restored.left_out]
        cell = 0 if run is None else run.cell
        session.recorder.record(StateRestored(cell, time.time(), script.name, restored.cells, restored.seconds, left_out, script.engine))
        script.notes.append(restored.told(title))
        return True

    # -- going back

    async def go_back(self, state: str, engine: str, to: int) -> Restored:
        script = self._with_history(state, engine)
        async with self._held(script) as run:
            past = _past_up_to(script, to)
            before = script.history, script.opened_with, script.entropy, script.opened_s
            try:
                await self._leave_worker(script)
                script.end()
                script.history = History(script.history.most_bytes)
                script.history.replace(past)
                return await self._restored_now(script, run)
            except BaseException as error:
                script.end()
                script.history, script.opened_with, script.entropy, script.opened_s = before
                if isinstance(error, SpellError):
                    error.message += f"; the {engine} state '{state}' is restored as it was before its next cell"
                raise

    async def fork(self, new: str, engine: str, state: str, at: int | None) -> Restored:
        self._refuse_taken((new, engine))
        script = self._with_history(state, engine)
        past = script.history.cells if at is None else _past_up_to(script, at)
        past = [replace(cell, calls=tuple(cell.calls)) for cell in past]  # what those cells left in the background is the other state's
        forked = self.named(new, engine)
        forked.opened_with = forked.opened_with._replace(seed=script.opened_with.seed)
        forked.entropy, forked.opened_s, forked.grants = script.entropy, script.opened_s, script.grants
        forked.history.replace(past)
        async with self._undone_if_it_fails([(new, engine)]), self._held(forked) as run:
            return await self._restored_now(forked, run)

    def save(self, file: Path) -> int:
        kept = [script for script in self.states.values() if script.history]
        return save(file, [(_saved(script), script.history.cells) for script in kept], self._session.redactor)

    async def resume(self, file: Path) -> dict[Key, Restored]:
        found = load(file)
        keys = [(saved.state.name, self._session.engines.get(saved.state.engine).name) for saved in found]
        for at, key in enumerate(keys):
            self._refuse_taken(key)
            if key in keys[:at]:
                raise LoadError(f"holds two {key[1]} states '{key[0]}'", file=file.name)
        restored = {}
        async with self._undone_if_it_fails(keys), AsyncExitStack() as held:
            scripts = [self.named(*key) for key in keys]
            runs = [await held.enter_async_context(self._held(script)) for script in scripts]
            for key, script, run, saved in zip(keys, scripts, runs, found, strict=True):
                state = saved.state
                script.opened_with = script.opened_with._replace(seed=state.seed)
                script.entropy, script.opened_s = state.entropy, state.opened_s
                script.grants = tuple(narrowed(state.name, allow, deny) for allow, deny in zip(state.allow, state.deny, strict=True))
                script.history.replace(saved.past)
                restored[key] = await self._restored_now(script, run)
        return restored

    @asynccontextmanager
    async def _held(self, script: ScriptState) -> AsyncIterator[CellRun]:
        """A state that is taken as by a cell: none begins in it meanwhile, and what stops cells stops this.  Raises Interrupted."""
        session, key = self._session, (script.name, script.engine)
        sink, grants = RedactedSink(NullSink(), session.redactor), (*session.grants, *script.grants)
        run = self._runs[key] = CellRun(session, script, 0, PYTHON, sink, session.limits, grants)
        script.renew()
        try:
            async with script.opening:
                if run.stopped:
                    raise not_begun(script.engine)
                yield run
        finally:
            del self._runs[key]
            run.over.set()
            script.settle()
            script.renew()
            if self.states.get(key) is not script:  # forgotten meanwhile
                await session.resources.release_state(script.number)
                script.close()

    @asynccontextmanager
    async def _undone_if_it_fails(self, keys: Sequence[Key]) -> AsyncIterator[None]:
        """New states whose names stay free where not all of them can be made."""
        try:
            yield
        except BaseException:
            for key in keys:
                await self.forget(key)
            raise

    def _refuse_taken(self, key: Key) -> None:
        if key in self.states:
            raise ConfigError(f"there is a {key[1]} state '{key[0]}' already; %llmspell reset ends it")

    def _with_history(self, state: str, engine: str) -> ScriptState:
        script = self.states.get((state, engine))
        if script is None:
            raise ConfigError(f"there is no {engine} state '{state}'{nearest(state, [name for name, of in self.states if of == engine])}")
        if (state, engine) in self._runs:
            raise ScriptError(f"the {engine} state '{state}' is busy with another cell")
        if not script.history:
            why = f": {script.history.full}" if script.history.full else ""
            raise ConfigError(f"nothing is known of what the {engine} state '{state}' went through{why}")
        return script

    async def _leave_worker(self, script: ScriptState) -> None:
        if (background := self._background.pop((script.name, script.engine), None)) is not None:
            await background.close()
        await self._session.resources.release_state(script.number)
        await script.answered()

    async def _restored_now(self, script: ScriptState, run: CellRun) -> Restored:
        """Raises ScriptError where it cannot be, and Interrupted."""
        if not script.history:
            why = f"{script.history.full}; raise that limit" if script.history.full else "no cell of it is kept (limits.history_bytes)"
            raise ScriptError(f"the {script.engine} state '{script.name}' cannot be restored: {why}")
        script.last_restored = None
        await self._get_ready(script, run)
        notes = [note.removesuffix(f"; {AGAIN_NOW}") for note in script.notes]
        script.notes.clear()
        if script.last_restored is None:  # its notes say why
            raise ScriptError(" ".join(notes))
        return script.last_restored

    # -- telling of bridges that came or went

    def declared(self, added: Outline | None, removed: list[str]) -> list[asyncio.Task[None]]:
        """Every state is to learn of a change of the bridges: now where an event loop runs, else before its next cell.

        What is returned can be waited for; it leaves out states in the middle of a step, which may be a long one.
        """
        change = {"remove": removed, "add": whole_catalogue([added] if added else [])}
        for script in self.states.values():
            script.declared(self._session.bridges.catalogue(), change)
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            return [task for script in self.states.values() for task in self._tell_soon(script)]
        return []

    def tell_no_more(self) -> None:
        for task in self._telling:
            task.cancel()

    def _tell_soon(self, script: ScriptState) -> Iterator[asyncio.Task[None]]:
        task = asyncio.create_task(self._tell(script))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        if script.phase() not in (Phase.RUNNING, Phase.STIRRING):
            yield task

    @staticmethod
    async def _tell(script: ScriptState) -> None:
        try:
            await script.tell()
        except WorkerLost:
            pass  # the next worker gets the whole catalogue
        except SpellError as error:
            report(f"the {script.engine} state '{script.name}' did not take a change of the bridges", error)


def _past_up_to(script: ScriptState, count: int) -> list[PastCell]:
    past = script.history.up_to(count)
    if not past:
        raise ConfigError(
            f"no cell of the {script.engine} state '{script.name}' has a number up to {count}; it ran {script.history.numbers}"
        )
    return past


def _saved(script: ScriptState) -> SavedState:
    allow, deny = rules_of(script.grants)
    seed, cells = script.opened_with.seed, len(script.history.cells)
    return SavedState(script.name, script.engine, seed, script.entropy, script.opened_s, cells, allow, deny)


def _tell_nobody(text: str) -> None:
    """A state that no cell opens waits in silence; that it waited in vain is an error anyway."""
