"""The effect loop of one cell: steps of the worker in, answers out, until the script ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ..bridges._bridge import Bridge
from ..errors import ScriptError, SpellError, WorkerLost
from ..policy.decide import Grants
from ..policy.limits import Limits
from ..protocol.framing import MAX_FRAME_BYTES
from ..protocol.output import Output
from ..protocol.steps import Answer, Effect, Failed, Fault, Finished, Invocation, Returned, Step, Suspended
from ..values import Callback, Value, dumps, loads
from . import effects
from .faults import error_of, report
from .script_state import INTERRUPT, TOTAL_TIME, ScriptState
from .sink import Sink
from .value_lists import check_size, read_values, write_values

if TYPE_CHECKING:
    from .session import Session

RESUME_BYTES = MAX_FRAME_BYTES - 1024 * 1024
"""What the answers of one message may hold; the rest goes with the next."""
REMEMBERED_FAULTS = 100


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
        self.failed_bridges: Mapping[str, str] = session.failed_bridges
        self.holds_resources = True
        self._given: dict[int, int] = {}
        """By effect: the resource that its answer holds, until the answer is sent."""
        self._faults: dict[tuple[str, str], Fault] = {}
        """Answered faults with fields that no engine carries: an uncaught one gets them back."""
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._answers: list[Answer] = []
        self._invocations: list[Invocation] = []
        self._returns: dict[int, asyncio.Future[Value]] = {}
        self._closing: set[asyncio.Task[None]] = set()
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

    def gave(self, effect: int, resource: int) -> None:
        """The answer of that effect will hold a resource."""
        self._given[effect] = resource

    def display(self, value: Value, title: str) -> None:
        """A shown value counts in the same budget as printed text."""
        if self._output_full:
            return
        self._output_bytes += len(dumps(value)) + len(title)
        if self._output_bytes <= self.limits.output_bytes:
            return self.sink.display(value, title)
        self._note_full()

    def write(self, stream: str, text: str) -> None:
        """Printed text, up to the cell's cap; what is over is dropped with one notice."""
        if self._output_full:
            return
        data = text.encode("utf-8", "replace")
        room = self.limits.output_bytes - self._output_bytes
        self._output_bytes += len(data)
        if len(data) <= room:
            return self.sink.write(stream, text)
        if room > 0:
            self.sink.write(stream, data[:room].decode("utf-8", "ignore"))
        self._note_full()

    def _note_full(self) -> None:
        self._output_full = True
        self.sink.write("stderr", f"\n[output over {self.limits.output_bytes} bytes is not shown]\n")

    async def invoke(self, callback: Callback, args: Sequence[Value]) -> Value:
        """Calls a function of the script; the cell waits, so its worker is there to run it."""
        if not self._live:
            raise ScriptError("a function of a script can only be called while the cell that gave it waits for the call", code="callback")
        written = write_values(args)
        check_size(written, "the arguments of the script's function", self.limits.value_bytes)
        number = self._session.next_invocation()
        future: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._invocations.append(Invocation(number, callback.id, written))
        self._returns[number] = future
        self._wake.set()
        return await future

    async def execute(self, code: str) -> list[Value]:
        """The cell's results.  Raises SpellError: the script's own fault, or what stopped it."""
        deadline = asyncio.get_running_loop().call_later(self.limits.total_time_s, self.interrupt, TOTAL_TIME)
        self._state.listen(self._printed, self._wake.set)
        self._live, ended_well = True, False
        try:
            values = await self._loop(code)
            ended_well = self._sink_failure is None
            return values
        except asyncio.CancelledError:
            # whoever awaits us went away: the script must not go on without its cell
            self.interrupt()
            self._state.close()
            raise
        except Exception as error:
            if not self._state.in_a_cell():
                raise
            # our own failure between two steps; a script that waits for ever could not be given its next cell either
            self._state.close()
            lost = WorkerLost(f"the cell could not go on ({type(error).__name__}: {error})", reason=f"closed after {type(error).__name__}")
            raise self._state.explain(lost) from error
        finally:
            self._live = False
            deadline.cancel()
            self._state.listen_no_more()
            await self._end()
            if not ended_well:
                await self.resources.release_cell(self.cell)
            if self._state.worker is None:
                await self.resources.release_state(self.state_number)
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
            fault = error_of(self._with_fields(step.fault), self._state.engine)
            raise (self._state.explain(fault) if self._state.stopping else fault)
        assert isinstance(step, Finished)
        check_size(step.values, "the results", self.limits.value_bytes)
        return read_values(step.values, "the results")

    async def _next(self) -> Step:
        """Waits until there is something to tell the script, then lets it go on."""
        while not (self._answers or self._invocations or self._state.stopping or self._state.worker is None):
            self._wake.clear()
            await self._wake.wait()
        answers = self._sendable()
        invocations, self._invocations = self._invocations, []
        if self._state.stopping:
            answers, invocations = [], []
        if self._given:
            for answer in answers:
                self._given.pop(answer.id, None)
        return await self._timed(self._state.resume(answers, invocations, self._budget_s()))

    def _sendable(self) -> list[Answer]:
        """The waiting answers that fit in one message, at least one; the others stay for the next."""
        answers, self._answers = self._answers, []
        if len(answers) < 2:
            return answers
        size = 0
        for at, answer in enumerate(answers):
            # the text of a fault may be written with six bytes a character
            size += len(answer.value) + 64 if answer.fault is None else len(msgspec.json.encode(answer))
            if size > RESUME_BYTES and at > 0:
                self._answers = answers[at:]
                return answers[:at]
        return answers

    def _take(self, step: Suspended) -> None:
        for returned in step.returned:
            self._settle(returned)
        for number in step.abandoned:
            task = self._tasks.pop(number, None)
            if task is not None:
                task.cancel()
            self._answers = [answer for answer in self._answers if answer.id != number]
            self._drop(number)
        if self._state.stopping:
            return  # a script that must stop gets nothing done any more
        for effect in step.effects:
            self._tasks[effect.id] = asyncio.create_task(self._answer(effect), name=f"{effect.bridge}.{effect.method}")

    async def _answer(self, effect: Effect) -> None:
        try:
            answer = await effects.answer(self, effect)
        except Exception as error:
            # our own fault, or a listener's of the journal; without an answer the script would wait for ever
            answer = Answer(effect.id, fault=Fault("internal", f"{effect.bridge}.{effect.method}: {type(error).__name__}: {error}"))
        if self._tasks.pop(effect.id, None) is None:
            return self._drop(effect.id)  # given up in the meantime by the script, or its cell is over: nobody may be told
        if answer.fault is not None and (answer.fault.limit or answer.fault.capability) and len(self._faults) < REMEMBERED_FAULTS:
            self._faults[answer.fault.code, answer.fault.message] = answer.fault
        self._answers.append(answer)
        self._wake.set()

    def _drop(self, number: int) -> None:
        """An answer that is never given: what it held is closed, because the script has no name for it."""
        resource = self._given.pop(number, None)
        if resource is not None:
            task = asyncio.create_task(self.resources.release(resource))
            self._closing.add(task)
            task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            report("a resource that nobody got failed to close", error)

    def _with_fields(self, fault: Fault) -> Fault:
        """The script's fault with the fields of the answer that it is; the text tells, as no engine keeps more."""
        known = self._faults.get((fault.code, fault.message))
        if known is None:
            return fault
        return msgspec.structs.replace(fault, capability=known.capability, limit=known.limit, value=known.value, used=known.used)

    def _settle(self, returned: Returned) -> None:
        future = self._returns.pop(returned.id, None)
        if future is None or future.done():
            return
        try:
            if returned.fault is not None:
                raise error_of(returned.fault, self._state.engine)
            check_size(returned.value, "the result of the script's function", self.limits.value_bytes)
            future.set_result(loads(returned.value))
        except SpellError as error:
            future.set_exception(error)

    async def _end(self) -> None:
        """Cancels what still runs for this cell, and waits until it is gone; not for ever, as a bridge can resist."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        for future in self._returns.values():
            future.cancel()
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=self.limits.end_s)
        if left:
            names = ", ".join(sorted(task.get_name() for task in left))
            self._tell(f"{names}: told to stop, still running after {self.limits.end_s:g} s; what comes of it is dropped")

    def _tell(self, text: str) -> None:
        try:
            self.sink.write("stderr", f"[{text}]\n")
        except Exception as error:
            self._sink_failure = self._sink_failure or error

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
