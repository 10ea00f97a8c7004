"""One script state: its worker process, and stepping it under limits.

The ladder for a script that must stop: the soft flag, a grace of 100 ms, SIGKILL.  Script time counts only while the engine runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ..bridges._bridge import StateLife
from ..errors import ConfigError, Interrupted, LimitError, ScriptError, SpellError, WorkerLost, not_begun
from ..policy.decide import Grants
from ..policy.limits import Limits
from ..policy.pace import Pace
from ..protocol.conversation import MAX_OPEN_EFFECTS
from ..protocol.framing import MAX_FRAME_BYTES
from ..protocol.output import Output
from ..protocol.steps import Allowance, Answer, Invocation, QueryKind, Step, Suspended
from ..protocol.transitions import ASKED, IN_A_CELL, LIVELY, Phase
from ..workers.pool import WorkerPool
from ..workers.worker import Worker
from .exchange import Exchange
from .history import History
from .met_limits import met
from .status import Used

if TYPE_CHECKING:
    from .recovery import Restored
    from .resources import ResourceTable

INTERRUPT = "interrupt"
SCRIPT_TIME = "script time"
TOTAL_TIME = "total time"
LIMIT = "limit"
MOST_CALL_BYTES = MAX_FRAME_BYTES - 8 * 1024 * 1024
"""All new calls of a step go in one message, with their names and numbers."""
AGAIN = "the next cell gets a new one, so run the cells above again that made what it needs"


class _Gone(Exception):
    def __init__(self, lost: WorkerLost) -> None:
        super().__init__(lost)
        self.lost = lost


class FunctionCall(NamedTuple):
    """A cell that is a call of a script's global function, or of the one that went out as `callback`.

    `args` is a JSON array in the written form of values.
    """

    function: str
    args: bytes
    callback: int = 0


class Opening(NamedTuple):
    """What a state is opened with, and opened with again where it was lost: other settings are for states that are opened later."""

    preset: str
    left_out: Sequence[str]
    """What its language lacks under that preset."""
    seed: int
    limits: Limits


class ScriptState:
    """`number` is the state's id in the protocol; it changes with the worker, so an old worker's messages can never be taken for a new one's."""

    def __init__(
        self,
        name: str,
        engine: str,
        pool: WorkerPool,
        opening: Opening,
        catalogue: dict[str, Any],
        resources: ResourceTable,
    ) -> None:
        self.name = name
        self.engine = engine
        self.life = StateLife()
        self.number = 0
        self._pool = pool
        self.opened_with = opening
        """Before its first worker: what it would be opened with if that were now."""
        self.fixed: Opening | None = None
        """What it is opened with whatever the settings are then."""
        self.turns = asyncio.Lock()
        """Held by a cell that runs within a call of another state's."""
        self.limits = opening.limits
        """Those of the cell that runs, or ran last."""
        self._catalogue = msgspec.json.encode(catalogue)
        self.grants: tuple[Grants, ...] = ()
        """What the state was narrowed to, on top of what the session grants; a new worker changes nothing of it."""
        self.time_s = 0.0
        """What clocks inside the language show next: a time that stands in the journal, so that a replay can show it again."""
        self.opened_s = 0.0
        """What they showed first."""
        self.instructions = 0
        """What the cell that runs, or ran last, has run of them; 0 where the engine does not count."""
        self.pace = Pace()
        self.entropy = ""
        """What the state's ids are made from: drawn for its first worker, and the same for those that it is restored in."""
        self.history = History(opening.limits.history_bytes)
        self.last_restored: Restored | None = None
        self.notes: list[str] = []
        """What the next cell is to tell."""
        self._resources = resources
        self.exchange = Exchange(engine, resources, opening.limits.value_bytes)
        self.background_tasks: list[str] = []
        self._worker: Worker | None = None
        self._stopping = ""
        self._exceeded: LimitError | None = None
        """What the host stopped the script for, where it was a limit that the host counts."""
        self._kill_timer: asyncio.TimerHandle | None = None
        self._has_question = False
        self._turn = asyncio.Lock()
        """One question or step at a time: a completion asked while a cell waits must not meet the cell's next step."""
        self.opening = asyncio.Lock()
        """Held while the state gets its worker: a state that is slow to open holds up no other."""
        self._getting: asyncio.Task[None] | None = None
        self._loss_told = True
        self._untold: list[bytes] = []
        """What has been declared since the worker opened the state, and it was not told yet."""
        self.is_fresh = True
        """Its init script, if it has one, has not run yet."""
        self.opened_at = 0.0
        self.workers = 0
        """How many it has had."""
        self.cells = 0
        self.used = Used()
        """By its last cell."""

    @property
    def worker(self) -> Worker | None:
        return self._worker if self._worker is not None and self._worker.alive else None

    def notice_end(self) -> None:
        """Looks whether the worker's process is still there: a cell must not begin in one that is gone."""
        if self._worker is not None:
            self._worker.notice_end()

    def phase(self) -> Phase:
        return self._worker.phase(self.number) if self._worker is not None else Phase.ABSENT

    @property
    def lingers(self) -> bool:
        """Does work of an earlier cell wait, and no cell run?"""
        return self.worker is not None and self.phase() in (Phase.LINGERING, Phase.ASKED_LINGERING)

    def in_a_cell(self) -> bool:
        return self.worker is not None and self.phase() in IN_A_CELL

    def untold_loss(self) -> WorkerLost | None:
        """How the last worker ended, if nobody was told yet; then they are."""
        if self._worker is None or self._worker.alive or self._loss_told:
            return None
        self._loss_told = True
        return self._worker.lost

    async def ready(self, number: int, tell: Callable[[str], None] = lambda text: None) -> None:
        """Makes sure that there is a live worker holding this state; `number` is used if a new one is needed, `tell` where it must wait.

        Raises LimitError where there is none for it in time, Interrupted where `stop` comes first, WorkerLost where the worker does not start
        or open the state in time.
        """
        if self.worker is not None:
            return
        if self._stopping:
            raise not_begun(self.engine)
        self._getting = asyncio.create_task(self._get(number, tell))
        try:
            await self._getting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._stopping and not (task is not None and task.cancelling()):
                raise not_begun(self.engine) from None
            raise
        finally:
            self._getting = None

    def _opens_at(self) -> float:
        """What clocks show first: for a state that is restored, what they showed first then."""
        if not (self.history and self.opened_s):
            self.opened_s = self.time_s or time.time()
        return self.opened_s

    async def _get(self, number: int, tell: Callable[[str], None]) -> None:
        worker = await self._pool.take(tell=tell)
        entropy = self.entropy or os.urandom(16).hex()
        try:
            await self._open(worker, number, entropy)
        except _Gone:  # a spare whose end nobody had noticed: not the script's, so not its loss either
            worker = await self._pool.take(tell=tell)
            try:
                await self._open(worker, number, entropy)
            except _Gone as error:
                raise error.lost from None
        self._worker, self.number, self._loss_told, self.entropy = worker, number, False, entropy
        self.exchange = Exchange(self.engine, self._resources, self.opened_with.limits.value_bytes)
        self.exchange.state_number = number
        self.background_tasks = []
        self.is_fresh, self.opened_at, self.workers = True, time.time(), self.workers + 1

    async def _open(self, worker: Worker, number: int, entropy: str) -> None:
        """Raises _Gone where the worker dies over it by itself."""
        self._untold.clear()  # the catalogue that it is about to get has it all
        preset, left_out, seed, limits = self.opened_with
        options = {
            "state": number,
            "memory_bytes": limits.memory_bytes,
            "max_value_bytes": limits.value_bytes,
            "seed": seed,
            "entropy": entropy,
            "time_s": self._opens_at(),
            "stack_bytes": limits.stack_bytes,
            "preset": preset,
            "removed": left_out,
        }
        try:
            async with asyncio.timeout(limits.startup_s):
                await worker.open(number, self.engine, self._catalogue, json.dumps(options).encode(), limits.data_bytes, limits.value_bytes)
        except WorkerLost as error:
            raise _Gone(error) from error
        except (ConfigError, ScriptError):  # refused: its worker is well, and may hold other states
            self._pool.give_back(worker, number)
            raise
        except BaseException as error:
            worker.lose("it did not open the state in time" if isinstance(error, TimeoutError) else "it was closed")
            if isinstance(error, TimeoutError) and worker.lost is not None:
                raise worker.lost from None
            raise

    def listen(self, printed: Callable[[Output], None], lost: Callable[[], None]) -> None:
        """Tells of what the script prints and of the worker's end, until `listen_no_more`."""
        assert self._worker is not None
        self._worker.on_output[self.number] = printed
        self._worker.on_lost[self.number] = lost

    def listen_no_more(self) -> None:
        if self._worker is not None:
            self._worker.on_output.pop(self.number, None)
            self._worker.on_lost.pop(self.number, None)

    def declared(self, catalogue: dict[str, Any], change: dict[str, Any]) -> None:
        """Bridges came or went: `catalogue` is now the whole one, `change` what is new in it.  `tell` sends it."""
        self._catalogue = msgspec.json.encode(catalogue)
        if self.worker is not None or self._getting is not None:
            self._untold.append(msgspec.json.encode(change))

    async def tell(self) -> None:
        """Tells the worker what has been declared; a running step is waited for."""
        while self._untold and self.worker is not None:
            await self.query("declare", "", self._untold.pop(0))

    async def begin(self, code: str | FunctionCall, chunk: str, budget_s: float) -> Step:
        async with self._turn:
            if self._stopping:
                raise not_begun(self.engine)
            worker = self._held()
            allowance = self._allowance()
            if isinstance(code, FunctionCall):
                function, args, callback = code
                asking = worker.begin(self.number, "", chunk, function, args, callback=callback, time_s=self.time_s, allowance=allowance)
            else:
                asking = worker.begin(self.number, code, chunk, time_s=self.time_s, allowance=allowance)
            return await self._step(asking, budget_s)

    def _allowance(self) -> Allowance:
        """No more than what the protocol can carry, whatever a user has set."""
        limits = self.limits
        calls, call_bytes = min(limits.calls_in_flight, MAX_OPEN_EFFECTS), min(limits.call_bytes, MOST_CALL_BYTES)
        return Allowance(limits.instructions, calls, call_bytes, limits.tasks)

    async def resume(self, answers: list[Answer], invocations: list[Invocation], budget_s: float) -> Step:
        async with self._turn:
            return await self._step(self._held().resume(self.number, answers, invocations, time_s=self.time_s), budget_s)

    def _held(self) -> Worker:
        """The worker.  Raises WorkerLost where the state was closed while its cell waited."""
        if self._worker is None:
            raise WorkerLost("the state was closed", reason="closed")
        return self._worker

    async def query(self, kind: QueryKind, text: str, value: bytes = b"null") -> bytes:
        """The answer to a question about the state.  Raises ScriptError for a text that cannot be sent, WorkerLost."""
        refuse_surrogates(text)
        # shielded, because a question once sent has its answer, and the next message must not come before it
        return await asyncio.shield(asyncio.ensure_future(self._query(kind, text, value)))

    async def _query(self, kind: QueryKind, text: str, value: bytes) -> bytes:
        async with self._turn:
            worker = self._held()
            limit_s = self._pool.policy.query_s
            self._has_question = True
            asking = asyncio.ensure_future(worker.query(self.number, kind, text, value))
            try:
                seen = 0
                while not (await asyncio.wait({asking}, timeout=limit_s / 2))[0]:
                    # else another state's step goes before it, which has limits of its own; one that just came to it has its time
                    seen = seen + 1 if worker.is_at(self.number) else 0
                    if seen == 2:
                        worker.lose(f"it did not answer a question within {limit_s:g} s")
                return await asking
            finally:
                self._has_question = False

    async def answers(self) -> bool:
        """Asks a worker whose state runs nothing whether it still answers, whatever it answers; one that does not is killed."""
        if self.phase() in (Phase.IDLE, Phase.LINGERING) and not self._turn.locked():
            with suppress(SpellError):
                await self.query("is_complete", "")
        return self.worker is not None

    def ended(self, used: Used, *, met_limit: bool) -> None:
        """A cell ended."""
        self.cells += 1
        self.used = used
        if self._worker is not None:
            self._pool.ran(self._worker, met_limit=met_limit)

    async def answered(self) -> None:
        """Waits until no question is on its way: it is short, and a worker in the middle of one could only be killed with all its states."""
        while self.worker is not None and (self._has_question or self.phase() in ASKED):
            async with self._turn:
                pass

    def renew(self) -> None:
        """A cell begins: what stopped the last one is forgotten."""
        self._stopping, self._exceeded = "", None

    def settle(self) -> None:
        """A cell ended: its stop, if any, is over."""
        if self._kill_timer is not None:
            self._kill_timer.cancel()
            self._kill_timer = None

    def stop(self, why: str) -> None:
        """Asks the running script to stop, and kills it where its cell does not end within the grace time.

        The time counts from the first stop, however often the script suspends: one that goes on asking for effects is deaf too.
        """
        self._stopping = self._stopping or why
        if self._getting is not None:
            self._getting.cancel()
        if self._worker is None or not self._worker.alive:
            return
        self._worker.stop(self.number)
        if self._kill_timer is None and self.phase() in LIVELY:
            lose = self._worker.lose
            self._kill_timer = asyncio.get_running_loop().call_later(self.limits.stop_grace_s, lose, "it did not stop when asked")

    def exceed(self, error: LimitError) -> None:
        """Stops the script for a limit that the host counts: no script can catch what is no answer."""
        self._exceeded = self._exceeded or error
        self.stop(LIMIT)

    @property
    def stopping(self) -> str:
        return self._stopping

    def explain(self, error: SpellError) -> SpellError:
        """A stopped script's end, told by what stopped it."""
        lost = isinstance(error, WorkerLost)
        tail = f"; the {self.engine} state '{self.name}' {self._what_follows()}" if lost else ""
        match self._stopping:
            case "interrupt":
                return Interrupted(f"stopped{tail}", engine=self.engine)
            case "script time":
                cap = self.limits.script_time_s
                return met("script_time_s", cap, cap, tail=tail, frames=error.frames, engine=self.engine)
            case "total time":
                cap = self.limits.total_time_s
                return met("total_time_s", cap, cap, tail=tail, frames=error.frames, engine=self.engine)
            case "limit" if self._exceeded is not None:
                limit = self._exceeded
                return met(limit.limit, limit.value, limit.used, tail=tail, frames=error.frames, engine=self.engine)
        if isinstance(error, WorkerLost):
            return WorkerLost(
                f"the worker of the {self.engine} state was lost: {error.message}{tail}", reason=error.reason, engine=self.engine
            )
        return error

    def _what_follows(self) -> str:
        """What becomes of a state that was lost."""
        if self.history:
            return "was lost, and is restored before its next cell by running the finished ones again"
        why = f" ({self.history.full})" if self.history.full else ""
        return f"was lost with its variables{why}: {AGAIN}"

    def end(self) -> None:
        """Gives the worker up; whoever needs the state next opens it anew, and nobody is told of a loss."""
        self.close()
        self._worker, self._loss_told = None, True

    def close(self) -> None:
        self.settle()
        if self._worker is not None:
            self._pool.give_back(self._worker, self.number)
            if self._worker.alive:  # it holds other states; one that ended is kept, as it knows why
                self._worker = None
                self.exchange.news.set()  # a cell that waits must not wait for ever

    async def _step(self, asking: Awaitable[Step], budget_s: float) -> Step:
        timer = asyncio.get_running_loop().call_later(max(budget_s, 0), self.stop, SCRIPT_TIME)
        try:
            step = await asking
        finally:
            timer.cancel()
        self.instructions = step.instructions
        if not isinstance(step, Suspended):
            self.settle()
        return step


def refuse_surrogates(text: str) -> None:
    """Raises ScriptError for what cannot be sent to a worker."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise ScriptError(f"line {line} holds a lone surrogate, which is not valid Unicode; remove or replace that character") from None
