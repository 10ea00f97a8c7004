"""What is on its way between one script state and the host: effects being answered, answers to send, calls of the script's functions.

It lives as long as the state's worker, not as long as a cell: what a cell left in the background is answered here too.

Which call a script's function was run by, when it asks something itself, no worker is asked.  A script goes on only with what a message tells
it, so a message holds answers and calls of functions from within one call alone: all that the script asks then is asked within that call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..protocol.framing import MAX_FRAME_BYTES
from ..protocol.steps import Answer, Background, Effect, Fault, Invocation, Returned, Suspended
from ..values import OBJECT_BYTES, Callback, Value, counted_bytes
from . import effects
from .breath import Breath
from .faults import error_of, report
from .large_values import by_size
from .value_lists import check_size, read_value, write_values

if TYPE_CHECKING:
    from .cell_run import CellRun
    from .effects import EffectContext
    from .resources import ResourceTable

RESUME_BYTES = MAX_FRAME_BYTES - 1024 * 1024
"""What the answers of one message may hold; the rest goes with the next."""
REMEMBERED_FAULTS = 100


class _Due(NamedTuple):
    """What the script is to be told of what it asked within one call, or outside any."""

    answers: list[Answer]
    invocations: list[Invocation]


_GIVEN_UP = Fault("given_up", "the call that ran this function has ended without it")


class Exchange:
    """`news` is set whenever there is something to send, or somebody wants the state looked after."""

    def __init__(self, engine: str, resources: ResourceTable, value_bytes: int) -> None:
        self.news = asyncio.Event()
        self.state_number = 0
        self._engine = engine
        self._resources = resources
        self._breath = Breath()
        self._value_bytes = value_bytes
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._sizes: dict[int, int] = {}
        """By effect: how large its arguments are, while it has no answer."""
        self._waiting_bytes = 0
        """All of them."""
        self._asked_within: dict[int, EffectContext] = {}
        """By effect without an answer: the call that runs the function which asks it."""
        self._due: dict[EffectContext | None, _Due] = {}
        """By the call within which it was asked; the one that waits longest goes first."""
        self._given: dict[int, list[int]] = {}
        """By effect: the resources that its answer holds, until the answer is sent."""
        self._returns: dict[int, asyncio.Future[msgspec.Raw]] = {}
        """By invocation: who waits for its result."""
        self._last_invocation = 0
        self._faults: dict[tuple[str, str], Fault] = {}
        """Answered faults with fields that no engine carries: an uncaught one gets them back."""
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def has_message(self) -> bool:
        return bool(self._due)

    @property
    def is_idle(self) -> bool:
        """Nothing will come of itself: what the script waited for was given up."""
        return not (self._tasks or self._returns)

    def take(self, step: Suspended | Background, run: CellRun, *, start: bool = True) -> None:
        """Whatever a step asks, returns and gives up.  Without `start` its effects are not begun: a script that must stop gets nothing done."""
        for returned in step.returned:
            self._settle(returned)
        if step.abandoned:
            self._abandon(set(step.abandoned))
        if not (start and step.effects and self._has_room(step.effects, run)):
            return
        within = run.asks_within
        for effect in step.effects:
            self._sizes[effect.id] = len(effect.args)
            if within is not None:
                self._asked_within[effect.id] = within
            self._waiting_bytes += len(effect.args)
            answering = self._answer(effect, run, within)
            self._tasks[effect.id] = asyncio.create_task(answering, name=f"{effect.bridge}.{effect.method}")

    def _has_room(self, asked: Sequence[Effect], run: CellRun) -> bool:
        """May so much more be in flight?  An honest worker has looked itself, so one that is not is stopped before it costs anything here."""
        limits = run.limits
        if (count := len(self._tasks) + len(asked)) > limits.calls_in_flight:
            run.exceed("calls_in_flight", limits.calls_in_flight, count)
            return False
        size = self._waiting_bytes + sum(len(effect.args) for effect in asked)
        if size > limits.call_bytes:
            run.exceed("call_bytes", limits.call_bytes, size)
            return False
        return True

    async def _has_room_for_what_it_holds(self, effect: Effect, run: CellRun) -> bool:
        """As `_has_room`, of the objects and lists that a text is made into, which take many times as much: no worker looks at those."""
        limits = run.limits
        if self._waiting_bytes * OBJECT_BYTES <= limits.call_bytes:
            return True  # whatever they hold
        counted = await by_size(len(effect.args), counted_bytes, effect.args, limits.value_bytes)
        if counted > limits.value_bytes or effect.id not in self._sizes:
            return True  # nothing is made of it: it is refused as the call's answer, or was given up in the meantime
        self._waiting_bytes += counted - self._sizes[effect.id]
        self._sizes[effect.id] = counted
        if self._waiting_bytes <= limits.call_bytes:
            return True
        run.exceed("call_bytes", limits.call_bytes, self._waiting_bytes)
        return False

    def message(self) -> tuple[list[Answer], list[Invocation], EffectContext | None]:
        """What the state is told next, and within which call it asks what it asks then; what does not fit stays for a message after it."""
        if not self._due:
            return [], [], None
        within = next(iter(self._due))
        due = self._due.pop(within)
        answers, left = _sendable(due.answers)
        if left:
            self._due[within] = _Due(left, [])
        if self._given:
            for answer in answers:
                self._given.pop(answer.id, None)
        return answers, due.invocations, within

    def _due_within(self, within: EffectContext | None) -> _Due:
        if within not in self._due:
            self._due[within] = _Due([], [])
        return self._due[within]

    async def breathe(self) -> None:
        """Lets others have the event loop, where the calls in flight have had it for long enough."""
        if len(self._tasks) > 1:
            await self._breath.taken()

    def gave(self, effect: int, resource: int) -> None:
        """The answer of that effect will hold a resource."""
        self._given.setdefault(effect, []).append(resource)

    async def invoke(self, callback: Callback, args: Sequence[Value], within: EffectContext, *, undecided: bool = False) -> Value:
        """Calls a function of the script within a call; its first result, or its error.  `undecided` leaves empty Lua tables as such."""
        written = write_values(args)
        check_size(written, "the arguments of the script's function", self._value_bytes)
        self._last_invocation += 1
        number = self._last_invocation
        future: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._due_within(within.innermost_open).invocations.append(Invocation(number, callback.id, written))
        self._returns[number] = future
        self.news.set()
        try:
            text = await future
        finally:
            self._returns.pop(number, None)  # of a call that was given up, nobody waits for it
        return await by_size(len(text), read_value, text, "the result of the script's function", self._value_bytes, not undecided)

    def give_up(self, within: EffectContext) -> None:
        """A call ends before the function that it runs: what that one waits for is given up and fails, so that the function ends too."""
        for number, asked in tuple(self._asked_within.items()):
            if asked.is_within(within) and (task := self._taken_out(number)) is not None:
                task.cancel()
                self._drop(number)
                self._due_within(asked).answers.append(Answer(number, fault=_GIVEN_UP))
                self.news.set()

    def with_fields(self, fault: Fault) -> Fault:
        """The script's fault with the fields of the answer that it is; the text tells, as no engine keeps more."""
        known = self._faults.get((fault.code, fault.message))
        if known is None:
            return fault
        return msgspec.structs.replace(fault, capability=known.capability, limit=known.limit, value=known.value, used=known.used)

    async def end(self, timeout_s: float, keep: Collection[int] = ()) -> list[str]:
        """Cancels every effect but those to `keep`, and waits until they are gone; names those that resist for so long."""
        leaving = {number: task for number, task in self._tasks.items() if number not in keep}
        for number, task in leaving.items():
            self._taken_out(number)
            task.cancel()
        self._forget_answers({answer.id for due in self._due.values() for answer in due.answers}.difference(keep))
        if not keep:
            self._faults.clear()
            self._due.clear()
            for future in self._returns.values():
                future.cancel()
            self._returns.clear()
        if not leaving:
            return []
        _, left = await asyncio.wait(leaving.values(), timeout=timeout_s)
        return sorted(task.get_name() for task in left)

    async def _answer(self, effect: Effect, run: CellRun, within: EffectContext | None) -> None:
        try:
            await self.breathe()
            if not await self._has_room_for_what_it_holds(effect, run):
                self._taken_out(effect.id)
                return
            answer = await effects.answer(run, effect, within)
        except Exception as error:
            # our own fault, or a listener's of the journal; without an answer the script would wait for ever
            answer = Answer(effect.id, fault=Fault("internal", f"{effect.bridge}.{effect.method}: {type(error).__name__}: {error}"))
        if self._taken_out(effect.id) is None:
            return self._drop(effect.id)  # given up in the meantime by the script, or its cell is over: nobody may be told
        if answer.fault is not None:
            self._drop(effect.id)  # what it had opened before it failed
        if answer.fault is not None and (answer.fault.limit or answer.fault.capability) and len(self._faults) < REMEMBERED_FAULTS:
            self._faults[answer.fault.code, answer.fault.message] = answer.fault
        self._due_within(within).answers.append(answer)
        self.news.set()

    def _taken_out(self, number: int) -> asyncio.Task[None] | None:
        self._waiting_bytes -= self._sizes.pop(number, 0)
        self._asked_within.pop(number, None)
        return self._tasks.pop(number, None)

    def _abandon(self, numbers: set[int]) -> None:
        for number in numbers:
            task = self._taken_out(number)
            if task is not None:
                task.cancel()
        self._forget_answers(numbers)

    def _forget_answers(self, numbers: set[int]) -> None:
        """All at once: a script may give up a hundred thousand effects in one step."""
        for within, due in tuple(self._due.items()):
            due.answers[:] = [answer for answer in due.answers if answer.id not in numbers]
            if not (due.answers or due.invocations):
                del self._due[within]
        for number in numbers if self._given else ():
            self._drop(number)

    def _drop(self, number: int) -> None:
        """An answer that is never given: what it held is closed, because the script has no name for it."""
        for resource in self._given.pop(number, ()):
            task = asyncio.create_task(self._resources.release(self.state_number, resource, "dropped"))
            self._closing.add(task)
            task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            report("a resource that nobody got failed to close", error)

    def _settle(self, returned: Returned) -> None:
        future = self._returns.pop(returned.id, None)
        if future is None or future.done():
            return
        if returned.fault is None:
            future.set_result(returned.value)
        else:
            future.set_exception(error_of(returned.fault, self._engine))


def _sendable(answers: list[Answer]) -> tuple[list[Answer], list[Answer]]:
    """Those that fit in one message, at least one, and the others."""
    if len(answers) < 2:
        return answers, []
    size = 0
    for at, answer in enumerate(answers):
        # the text of a fault may be written with six bytes a character
        size += len(answer.value) + 64 if answer.fault is None else len(msgspec.json.encode(answer))
        if size > RESUME_BYTES and at > 0:
            return answers[:at], answers[at:]
    return answers, []
