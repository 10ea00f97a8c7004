"""Workers for a session: as many as its states need, up to a limit, and spares so that a new or killed state has its process at once.

Rules
- A state gets a worker that holds nothing of another session, and unless states share workers, nothing of any other state: a worker is
  never handed on.  A fresh one costs milliseconds, a forgotten global costs a secret.
- There are never more than `max` processes.  Who finds none waits in the order of asking, is told so, and fails after `wait_s`.
- A worker that is drained takes no new state, and ends with its last one: after `recycle_cells`, on growth by `recycle_growth_bytes`, after a
  limit was met.  That is for shared workers: one that holds a single state ends with it anyway, and before it would take its variables along.
- Where no script runs for `idle_s`, all ends that holds no state, but for `min` processes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..engines._declaration import EngineDeclaration
from ..engines._registry import discover
from ..errors import ConfigError, LimitError, SpellError, WorkerLost
from ..protocol.transitions import TABLE, Event, Phase
from .figures import memory_of
from .spawn import SAFE_LAYERS, WorkerProcess
from .worker import Worker

if TYPE_CHECKING:
    from ..policy.workers import WorkerPolicy


class Alarm(Protocol):
    """What `call_later` gives."""

    def cancel(self) -> object: ...


class Clock(Protocol):
    """What the pool asks of an event loop's clock; tests bring one of their own."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Alarm: ...


class PoolCount(NamedTuple):
    """How many processes there are and were: with states, without, and states that wait for one; how many were drained."""

    given: int
    spares: int
    waiting: int
    drained: int


class _Held:
    """What the pool knows of a worker that it has given out."""

    __slots__ = ("bare_bytes", "cells", "is_drained", "most", "states")

    def __init__(self, most: int, bare_bytes: int) -> None:
        self.most = most
        """How many states it may hold."""
        self.bare_bytes = bare_bytes
        """Its memory before it held any."""
        self.states = self.cells = 0
        self.is_drained = False


class WorkerPool:
    """`warm` may be called before an event loop runs; `take` gives a started worker and starts the next spare.

    `engines` are those that each worker loads (all that are installed, where nothing is said).  A `spare` that was started elsewhere is
    taken over.  `layers` of confinement are asked of each worker; `confine` changes them, and may require them.  With more than one state
    a worker, a worker that must be killed takes all its states along, and a state's script time counts what it waits for the others.
    `clock` is by default that of the event loop.
    """

    def __init__(
        self,
        engines: Iterable[EngineDeclaration] | None = None,
        *,
        policy: WorkerPolicy,
        startup_s: float,
        spare: WorkerProcess | None = None,
        layers: Sequence[str] = SAFE_LAYERS,
        clock: Clock | None = None,
    ) -> None:
        self.policy = policy
        self._layers = tuple(layers)
        self._layers_required = False
        self._engines = engines
        self._startup_s = startup_s
        self._clock = clock
        self._given: dict[Worker, _Held] = {}
        self._starting: set[Worker] = set()
        self._spares = deque([Worker(spare)] if spare is not None else ())
        self._taking = asyncio.Lock()
        """Where states share workers: a second taker waits for the worker that the first one starts."""
        self._reserved = 0
        """Takers that have a place and no worker yet."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._used_at = 0.0
        self._idle_alarm: Alarm | None = None
        self._rests = self._closed = False
        self._drained = 0
        self.layers: Mapping[str, str] | None = None
        """What the last started worker reports of the layers around it."""

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in self._all() if worker.alive]

    def count(self) -> PoolCount:
        return PoolCount(len(self._given), len(self._spares), len(self._waiting), self._drained)

    def configure(self, policy: WorkerPolicy, startup_s: float) -> None:
        """For what happens from now on; workers that hold states keep them, also where there are more than the new `max`."""
        self.policy, self._startup_s = policy, startup_s
        while self._spares and len(self._all()) > policy.max:
            self._spares.popleft().close()
        self._free()

    def confine(self, layers: Sequence[str], *, required: bool) -> None:
        """For the workers that are taken from now on; what was started for other layers and holds no state ends."""
        self._layers, self._layers_required = tuple(layers), required
        for worker in self._without_states():
            if worker.asked_layers != self._layers:
                self._end(worker)

    def warm(self) -> None:
        """Starts the spares that are missing."""
        self._spares = deque(worker for worker in self._spares if worker.alive)
        wanted = 0 if self._closed else max(self.policy.spares, self.policy.min - len(self._given))
        while len(self._spares) < wanted and len(self._given) + self._reserved + len(self._spares) < self.policy.max:
            self._spares.append(self._start())

    def use(self) -> None:
        """A script runs: the idle time counts anew, and spares that ended over it are started again."""
        clock = self._clock = self._clock or asyncio.get_running_loop()
        self._used_at = clock.time()
        if self._rests:
            self._rests = False
            self._warm_next()
        if self._idle_alarm is None and not self._closed:
            self._idle_alarm = clock.call_later(self.policy.idle_s, self._rest)

    async def take(self, *, keep_spare: bool = True, tell: Callable[[str], None] = lambda text: None) -> Worker:
        """A started worker with room for a state.  A spare that died in the meantime is replaced once; a second failure is raised.

        `tell` gets a line where it must be waited for.  Raises LimitError where there is no place for one in time.
        """
        self._refuse_closed()
        self.use()
        deadline = asyncio.get_running_loop().time() + self.policy.wait_s
        if self.policy.states_per_worker == 1:
            return await self._take(deadline, keep_spare, tell)
        async with self._taking:
            return await self._take(deadline, keep_spare, tell)

    def ran(self, worker: Worker, *, met_limit: bool) -> None:
        """A cell ended in one of its states: counts it, and drains a shared worker that has had enough."""
        held = self._given.get(worker)
        if held is None:
            return
        held.cells += 1
        if held.most == 1 or held.is_drained:
            return
        if (met_limit and self.policy.recycle_after_limit) or self._is_worn(worker, held):
            held.is_drained = True
            self._drained += 1

    def give_back(self, worker: Worker, state: int) -> None:
        """Ends a state.  Its worker ends with it, unless it is shared; one that is busy with the state can only be killed."""
        held, phase = self._given.get(worker), worker.phase(state)
        if held is None or held.most == 1 or (phase is not Phase.ABSENT and (phase, Event.CLOSE) not in TABLE):
            worker.close()
            return
        if phase is not Phase.ABSENT:
            worker.close_state(state)
        held.states -= 1
        if held.is_drained and not held.states:
            worker.close()
        self._free()

    def kill(self) -> None:
        """Kills every process and touches nothing else: safe in any thread, and when no event loop runs any more."""
        self._closed = True
        for worker in self._all():
            worker.kill()

    def close(self) -> None:
        """Ends every process.  Who waits for one learns that there will be none."""
        self.kill()  # all at once: the second does not wait for the end of the first
        for worker in self._all():
            worker.close()
        self._given, self._spares = {}, deque()
        if self._idle_alarm is not None:
            self._idle_alarm.cancel()
            self._idle_alarm = None
        for turn in self._waiting:
            if not turn.done():
                self._reserved += 1
                turn.set_result(None)

    def _all(self) -> list[Worker]:
        return [*self._given, *self._starting, *self._spares]

    def _without_states(self) -> list[Worker]:
        return [*(worker for worker, held in tuple(self._given.items()) if not held.states), *self._spares]

    def _end(self, worker: Worker) -> None:
        if worker in self._spares:
            self._spares.remove(worker)
        worker.close()

    async def _take(self, deadline: float, keep_spare: bool, tell: Callable[[str], None]) -> Worker:
        await self._place(deadline, tell)
        try:
            self._refuse_closed()
            worker = self._with_room()
            if worker is None:
                worker = await self._take_new(keep_spare)
            self._given[worker].states += 1
            return worker
        finally:
            self._reserved -= 1
            self._free()

    async def _place(self, deadline: float, tell: Callable[[str], None]) -> None:
        """Waits, in the order of asking, until there may be one process more or a worker has room."""
        if not self._waiting and self._has_place():
            self._reserved += 1
            return
        most = self.policy.max
        tell(f"waits for a worker: all {most} are in use")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # its place came together with the end of its patience: it is the next one's
                self._reserved -= 1
            if not isinstance(error, TimeoutError):
                raise
            raise LimitError(
                f"all {most} workers are in use, and none became free within {self.policy.wait_s:g} s; "
                "end a state that is done with (`%llmspell reset ENGINE NAME`), or raise the setting workers.max",
                limit="workers.max",
                value=most,
                used=most + 1,
            ) from None
        finally:
            self._waiting.remove(turn)
            self._free()

    def _has_place(self) -> bool:
        return len(self._given) + self._reserved < self.policy.max or self._with_room() is not None

    def _free(self) -> None:
        """Gives what places there are to those who wait."""
        for turn in self._waiting:
            if not turn.done():
                if not self._has_place():
                    return
                self._reserved += 1
                turn.set_result(None)

    def _with_room(self) -> Worker | None:
        for worker, held in self._given.items():
            if worker.alive and held.states < held.most and not held.is_drained and worker.asked_layers == self._layers:
                return worker
        return None

    async def _take_new(self, keep_spare: bool) -> Worker:
        spare = self._spares.popleft() if self._spares else None
        for worker in (spare, None):
            self._refuse_closed()
            chosen = worker or self._start()
            # known before it has started, so that close and kill find it also when the wait is cancelled
            self._starting.add(chosen)
            try:
                await chosen.started(self._startup_s)
                self.layers = chosen.layers
                self._check_layers(chosen)
            except SpellError:
                if worker is None:
                    raise
                continue
            except BaseException:  # the taker went away: nobody else would ever use this process
                chosen.close()
                raise
            finally:
                self._starting.discard(chosen)
            self._hold(chosen)
            if keep_spare:
                self._warm_next()
            return chosen
        raise AssertionError("unreachable")

    def _hold(self, worker: Worker) -> None:
        most = self.policy.states_per_worker
        bare_bytes = memory_of(worker.pid) if most > 1 else None
        self._given[worker] = _Held(most, bare_bytes or 0)
        worker.on_end = lambda: self._ended(worker)

    def _ended(self, worker: Worker) -> None:
        self._given.pop(worker, None)
        self._free()

    def _is_worn(self, worker: Worker, held: _Held) -> bool:
        if held.cells >= self.policy.recycle_cells:
            return True
        memory_bytes = memory_of(worker.pid)
        return memory_bytes is not None and memory_bytes - held.bare_bytes > self.policy.recycle_growth_bytes

    def _check_layers(self, worker: Worker) -> None:
        missing = [f"{name} ({why})" for name in self._layers if (why := worker.layers.get(name, "the worker does not report it"))]
        if self._layers_required and missing:
            worker.close()
            raise ConfigError(
                f"no script runs here under the preset strict, for its workers would lack: {', '.join(missing)}. "
                "`llmspell doctor` lists the layers of this machine; the preset standard goes on without those it lacks",
                key="preset",
            )

    def _refuse_closed(self) -> None:
        if self._closed:
            raise WorkerLost("no worker can start any more: the session was closed", reason="closed")

    def _rest(self) -> None:
        """The idle time may be over."""
        self._idle_alarm = None
        assert self._clock is not None
        left_s = self._used_at + self.policy.idle_s - self._clock.time()
        if left_s > 0:
            self._idle_alarm = self._clock.call_later(left_s, self._rest)
            return
        self._rests = True
        idle = self._without_states()
        for worker in idle[: max(0, len(self._all()) - self.policy.min)]:
            self._end(worker)

    def _warm_next(self) -> None:
        """A spare that cannot start must not cost the worker that did; the next `take` tries again, and tells its taker."""
        try:
            self.warm()
        except SpellError as error:
            asyncio.get_running_loop().call_exception_handler({"message": f"no spare worker: {error}", "exception": error})

    def _start(self) -> Worker:
        if self._engines is None:
            self._engines = discover()
        return Worker(WorkerProcess(self._engines, self._layers))
