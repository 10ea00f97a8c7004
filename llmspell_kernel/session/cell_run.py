"""The effect loop of one cell: steps of the worker in, answers out, until the script ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

from ..bridges._bridge import Bridge
from ..errors import ScriptError, SpellError
from ..policy.decide import Grants
from ..policy.limits import Limits
from ..protocol.output import Output
from ..protocol.steps import Answer, Effect, Failed, Fault, Finished, Invocation, Returned, Step, Suspended
from ..values import Callback, Value, loads
from . import effects
from .faults import error_of
from .script_state import INTERRUPT, TOTAL_TIME, ScriptState
from .sink import Sink
from .value_lists import read_values, write_values

if TYPE_CHECKING:
    from .session import Session


class CellRun:
    """Everything that lives as long as one cell runs."""

    def __init__(self, session: Session, state: ScriptState, cell: int, chunk: str, sink: Sink, limits: Limits, grants: Grants) -> None:
        self._session = session
        self._state = state
        self.cell = cell
        self.chunk = chunk
        self.sink = sink
        self.limits = limits
        self.grants = grants
        self.effects = 0
        self.recorder = session.recorder
        self.resources = session.resources
        self.declarations = session.declarations
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._answers: list[Answer] = []
        self._invocations: list[Invocation] = []
        self._returns: dict[int, asyncio.Future[Value]] = {}
        self._wake = asyncio.Event()
        self._script_time_s = 0.0
        self._output_bytes = 0
        self._output_full = False
        self._sink_failure: Exception | None = None
        self._live = False

    @property
    def state_name(self) -> str:
        return self._state.name

    @property
    def state_number(self) -> int:
        return self._state.number

    def next_call(self) -> int:
        return self._session.next_call()

    async def bridge(self, name: str) -> Bridge:
        return await self._session.bridge(name)

    def interrupt(self, why: str = INTERRUPT) -> None:
        self._state.stop(why)
        self._wake.set()

    def write(self, stream: str, text: str) -> None:
        """Printed text, up to the cell's cap; what is over is dropped with one notice."""
        if self._output_full:
            return
        data = text.encode("utf-8", "replace")
        room = self.limits.output_bytes - self._output_bytes
        self._output_bytes += len(data)
        if len(data) <= room:
            return self.sink.write(stream, text)
        self._output_full = True
        if room > 0:
            self.sink.write(stream, data[:room].decode("utf-8", "ignore"))
        self.sink.write("stderr", f"\n[output over {self.limits.output_bytes} bytes is not shown]\n")

    async def invoke(self, callback: Callback, args: Sequence[Value]) -> Value:
        """Calls a function of the script; the cell waits, so its worker is there to run it."""
        if not self._live:
            raise ScriptError("a function of a script can only be called while the cell that gave it waits for the call", code="callback")
        number = self._session.next_invocation()
        future: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._invocations.append(Invocation(number, callback.id, write_values(args)))
        self._returns[number] = future
        self._wake.set()
        return await future

    async def execute(self, code: str) -> list[Value]:
        """The cell's results.  Raises SpellError: the script's own fault, or what stopped it."""
        deadline = asyncio.get_running_loop().call_later(self.limits.total_time_s, self.interrupt, TOTAL_TIME)
        self._state.listen(self._printed, self._wake.set)
        self._live = True
        try:
            return await self._loop(code)
        except asyncio.CancelledError:
            # whoever awaits us went away: the script must not go on without its cell
            self.interrupt()
            self._state.close()
            raise
        finally:
            self._live = False
            deadline.cancel()
            self._state.listen_no_more()
            await self._end()
            if self._sink_failure is not None:
                raise self._sink_failure

    async def _loop(self, code: str) -> list[Value]:
        try:
            step = await self._timed(self._state.begin(code, self.chunk, self._budget_s()))
            while isinstance(step, Suspended):
                self._take(step)
                step = await self._next()
        except SpellError as error:
            explained = self._state.explain(error)
            if explained is error:
                raise
            raise explained from error
        if isinstance(step, Failed):
            fault = error_of(step.fault, self._state.engine)
            raise (self._state.explain(fault) if self._state.stopping else fault)
        assert isinstance(step, Finished)
        return read_values(step.values, "the results")

    async def _next(self) -> Step:
        """Waits until there is something to tell the script, then lets it go on."""
        while not (self._answers or self._invocations or self._state.stopping or self._state.worker is None):
            self._wake.clear()
            await self._wake.wait()
        answers, self._answers = self._answers, []
        invocations, self._invocations = self._invocations, []
        if self._state.stopping:
            answers, invocations = [], []
        return await self._timed(self._state.resume(answers, invocations, self._budget_s()))

    def _take(self, step: Suspended) -> None:
        for returned in step.returned:
            self._settle(returned)
        for number in step.abandoned:
            task = self._tasks.pop(number, None)
            if task is not None:
                task.cancel()
            self._answers = [answer for answer in self._answers if answer.id != number]
        if self._state.stopping:
            return  # a script that must stop gets nothing done any more
        for effect in step.effects:
            self._tasks[effect.id] = asyncio.create_task(self._answer(effect))

    async def _answer(self, effect: Effect) -> None:
        try:
            answer = await effects.answer(self, effect)
        except Exception as error:
            # our own fault, or a listener's of the journal; without an answer the script would wait for ever
            answer = Answer(effect.id, fault=Fault("internal", f"{effect.bridge}.{effect.method}: {type(error).__name__}: {error}"))
        self._tasks.pop(effect.id, None)
        self._answers.append(answer)
        self._wake.set()

    def _settle(self, returned: Returned) -> None:
        future = self._returns.pop(returned.id, None)
        if future is None or future.done():
            return
        try:
            if returned.fault is not None:
                raise error_of(returned.fault, self._state.engine)
            future.set_result(loads(returned.value))
        except SpellError as error:
            future.set_exception(error)

    async def _end(self) -> None:
        """Cancels what still runs for this cell, and waits until it is gone."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        for future in self._returns.values():
            future.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _timed(self, step: Awaitable[Step]) -> Step:
        started = time.monotonic()
        try:
            return await step
        finally:
            self._script_time_s += time.monotonic() - started

    def _budget_s(self) -> float:
        return self.limits.script_time_s - self._script_time_s

    def _printed(self, output: Output) -> None:
        try:
            self.write(output.stream, output.text)
        except Exception as error:
            # called by the event loop, where an error would be lost and the cell would wait for ever
            self._sink_failure = self._sink_failure or error
            self.interrupt()
