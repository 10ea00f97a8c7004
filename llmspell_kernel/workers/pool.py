"""Workers for a session: one a state, and one warm spare so that a new or killed state has its process at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from ..engines._declaration import EngineDeclaration
from ..engines._registry import discover
from ..errors import ConfigError, SpellError, WorkerLost
from ..protocol.transitions import TABLE, Event, Phase
from .spawn import SAFE_LAYERS, WorkerProcess
from .worker import Worker


class WorkerPool:
    """`warm` may be called before an event loop runs; `take` gives a started worker and starts the next spare.

    `engines` are those that each worker loads (all that are installed, where nothing is said).  A `spare` that was started elsewhere is
    taken over.  `layers` of confinement are asked of each worker; `confine` changes them, and may require them.  With more than one state
    a worker (batches), a worker that must be killed takes all its states along, and a state's script time counts what it waits for the
    others of its worker.
    """

    def __init__(
        self,
        engines: Iterable[EngineDeclaration] | None = None,
        *,
        startup_s: float,
        spare: WorkerProcess | None = None,
        states_per_worker: int = 1,
        layers: Sequence[str] = SAFE_LAYERS,
    ) -> None:
        self._layers = tuple(layers)
        self._layers_required = False
        self._states_per_worker = states_per_worker
        self._room: dict[Worker, int] = {}
        """How many more states each worker may hold."""
        self._taking = asyncio.Lock()
        self._engines = engines
        self._startup_s = startup_s
        self._spare = Worker(spare) if spare is not None else None
        self._given: list[Worker] = []
        self._closed = False
        self.layers: Mapping[str, str] | None = None
        """What the last started worker reports of the layers around it."""

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in (*self._given, *([self._spare] if self._spare else [])) if worker.alive]

    def confine(self, layers: Sequence[str], *, required: bool) -> None:
        """For the workers that are taken from now on; a spare that was started for other layers ends."""
        self._layers, self._layers_required = tuple(layers), required
        if self._spare is not None and self._spare.asked_layers != self._layers:
            self._spare.close()
            self._spare = None

    def warm(self) -> None:
        """Starts the spare, unless there is one."""
        if not self._closed and (self._spare is None or not self._spare.alive):
            self._spare = self._start()

    async def take(self, *, keep_spare: bool = True) -> Worker:
        """A started worker with room for a state.  A spare that died in the meantime is replaced once; a second failure is raised."""
        if self._closed:
            raise WorkerLost("no worker can start any more: the session was closed", reason="closed")
        if self._states_per_worker == 1:
            return await self._take_new(keep_spare)
        async with self._taking:
            self._room = {worker: room for worker, room in self._room.items() if worker.alive}
            worker = next((worker for worker, room in self._room.items() if room > 0 and worker.asked_layers == self._layers), None)
            if worker is None:
                worker = await self._take_new(keep_spare)
                self._room[worker] = self._states_per_worker
            self._room[worker] -= 1
            return worker

    def give_back(self, worker: Worker, state: int) -> None:
        """Ends a state.  Its worker ends with it, unless it holds others; one that is busy with the state can only be killed."""
        phase = worker.phase(state)
        if worker not in self._room or (phase is not Phase.ABSENT and (phase, Event.CLOSE) not in TABLE):
            worker.close()
            return
        if phase is not Phase.ABSENT:
            worker.close_state(state)
        self._room[worker] += 1

    async def _take_new(self, keep_spare: bool) -> Worker:
        spare, self._spare = self._spare, None
        for worker in (spare, None):
            chosen = worker or self._start()
            # known before it has started, so that close and kill find it also when the wait is cancelled
            self._given = [given for given in self._given if given.alive] + [chosen]
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
            if keep_spare:
                self._warm_next()
            return chosen
        raise AssertionError("unreachable")

    def _check_layers(self, worker: Worker) -> None:
        missing = [f"{name} ({why})" for name in self._layers if (why := worker.layers.get(name, "the worker does not report it"))]
        if self._layers_required and missing:
            worker.close()
            raise ConfigError(
                f"no script runs here under the preset strict, for its workers would lack: {', '.join(missing)}. "
                "`llmspell doctor` lists the layers of this machine; the preset standard goes on without those it lacks",
                key="preset",
            )

    def kill(self) -> None:
        """Kills every process and touches nothing else: safe in any thread, and when no event loop runs any more."""
        self._closed = True
        for worker in (*self._given, *([self._spare] if self._spare else [])):
            worker.kill()

    def close(self) -> None:
        self._closed = True
        for worker in (*self._given, *([self._spare] if self._spare else [])):
            worker.close()
        self._given, self._spare = [], None

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
