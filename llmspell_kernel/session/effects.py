"""One effect, from request to answer: policy, arguments, bridge, journal.  The only place that records calls.

A denied or wrongly called effect never reaches its bridge.  The worker is hostile: sizes are checked in both directions, whatever it promised.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..bridges._checking import converted
from ..bridges._declaration import MethodDeclaration
from ..errors import BridgeError, Interrupted, LimitError, SpellError
from ..host_types._crossing import to_plain
from ..journal.cassette import Used
from ..journal.events import (
    AnyEvent,
    BudgetRefused,
    CallChunk,
    CallDenied,
    CallFailed,
    CallFinished,
    CallStarted,
    CallUsage,
    Logged,
    Retried,
)
from ..policy.budgets import Amounts, amounts
from ..policy.decide import LEVELS, EffectFacts, Level
from ..protocol.steps import Answer, Effect
from ..shown import Shown
from ..values import Callback, Value
from .budgets import Reservation
from .call_answers import come_to, keep_refusal
from .faults import fault_of
from .interceptors import INTERCEPTION, Interception, intercepting
from .large_values import by_size
from .planned_calls import Planned, allowed_call, decided, nothing
from .redacted import redact_error, redacted_fault
from .value_lists import check_size, read_arguments, write_values

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from ..redaction import StreamRedactor
    from .cell_run import CellRun
    from .fresh_states import FreshScript
    from .functions import KeptFunction
    from .transcript import Made


LOUD = ("warn", "error")
"""Levels of a script's log that are shown as they come; the others are found in the result and in the trace."""


class EffectContext:
    """What a bridge method may ask of the session: bridges._bridge.Context for one call."""

    def __init__(
        self,
        run: CellRun,
        call_id: int,
        within: EffectContext | None = None,
        *,
        level: Level | None = None,
        on_text: Callable[[str], None] | None = None,
        capability: str = "",
        ask: str = "",
    ) -> None:
        self.run = run
        self.call_id = call_id
        self.within = within
        """The call that asks this one, itself or by a function of a script that it runs."""
        self.inner = level is not None
        """Does a bridge ask, and no script?"""
        self.grants = run.grants if level is None else run.inner_grants
        self._level = level or "read"
        self.capability = capability
        """What policies know it by, "" for its name."""
        self.ask = ask
        self._on_text = on_text
        self.in_interceptor: bool = within is not None and within.in_interceptor
        """Does an interceptor ask, itself or by a function of a script?  No other one sees what it asks."""
        self.is_silent: bool = within is not None and within.is_silent
        """Is the text of its answer held back, because an interceptor is to look at it first?"""
        self.held_back = False
        """Has any been?"""
        self._is_open = True
        self.state, self.engine, self.restoring = run.state_name, run.engine, run.playback is not None
        self.life = run.script.life
        self.cell = run.chunk
        self.depth: int = 0 if within is None else within.depth + 1
        self.ended_s = 0.0
        """What clocks of scripts are to show after the call, where that is not the time of day."""
        self.replayed = False
        """Did the answer come from a cassette?"""
        self.made: Made | None = None
        """What is kept of the call, to be played again."""
        self.facts = EffectFacts("")
        """What it does, once that is known."""
        self.asks: MethodDeclaration | None = None
        """The method that the user is asked about."""
        self._reservations: list[Reservation] = []

    @property
    def parent(self) -> int | None:
        return None if self.within is None else self.within.call_id

    @property
    def is_untold(self) -> bool:
        """Does an interceptor ask it about a text that is held back?  The journal is shown, and has neither arguments nor answer of it."""
        return self.in_interceptor and self.is_silent

    @property
    def innermost_open(self) -> EffectContext | None:
        """Itself, and once it has ended the call that it was asked within, if that still goes on."""
        found: EffectContext | None = self
        while found is not None and not found._is_open:
            found = found.within
        return found

    def is_within(self, other: EffectContext) -> bool:
        """Is it that call, or asked within it?"""
        return self is other or (self.within is not None and self.within.is_within(other))

    def chunk(self, text: str) -> None:
        if text:
            if self.made is not None:
                self.made.add_chunk(text)
            if self.is_silent:
                self.held_back = True
            else:
                self.say(text)

    def say(self, text: str) -> None:
        """Text that is shown, and is no part of what is played again."""
        if self._on_text is not None:
            self._on_text(text)
        self._record(CallChunk(self.run.cell, time.time(), self.call_id, text))

    def pieces(self) -> StreamRedactor:
        return self.run.redactor.stream()

    async def reserve(
        self,
        *,
        model: str = "",
        requests: int = 1,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost_usd: float | None = None,
        seconds: float = 0.0,
        steps: int = 0,
    ) -> Reservation:
        asked = amounts(requests=requests, tokens=input_tokens + output_tokens, cost_usd=cost_usd, seconds=seconds, steps=steps)
        try:
            reservation = await self.run.budgets.reserve(self.run.account, asked, model)
        except LimitError as error:
            self._record(BudgetRefused(self.run.cell, time.time(), self.call_id, error.limit, error.used, error.value))
            raise
        self._reservations.append(reservation)
        return reservation

    def retried(self, *, attempt: int, attempts: int, wait_s: float, error: BridgeError) -> None:
        self._record(Retried(self.run.cell, time.time(), self.call_id, attempt, attempts, wait_s, error.code, error.message))
        # a wait that nobody sees looks like a service that is slow, and each attempt may cost
        told = f"{error.message}: asking again in {wait_s:.1f} s (attempt {attempt} of {attempts})"
        self.log("warn", told, {"attempt": attempt, "wait_s": round(wait_s, 3), "code": error.code})

    def usage(
        self,
        *,
        model: str = "",
        input_tokens: int = 0,
        output_tokens: int = 0,
        cached_tokens: int = 0,
        cost_usd: float | None = None,
        attempts: int = 1,
        finish_reason: str = "",
        seconds: float = 0.0,
    ) -> None:
        if self.made is not None:
            self.made.add_use(Used(model, input_tokens, output_tokens, cached_tokens, cost_usd, finish_reason))
        if not self.replayed:
            self._settle(amounts(requests=attempts, tokens=input_tokens + output_tokens, cost_usd=cost_usd, seconds=seconds))
        self._record(
            CallUsage(
                self.run.cell,
                time.time(),
                self.call_id,
                model,
                input_tokens,
                output_tokens,
                cached_tokens,
                cost_usd,
                attempts,
                finish_reason,
            )
        )

    def now(self) -> float:
        taping = self.run.taping
        return time.time() if taping is None else taping.pass_time(0)

    def passes(self, seconds: float) -> None:
        if self.made is not None:
            self.made.passed_s += seconds

    async def approve(self, what: str, details: Mapping[str, Value]) -> None:
        await self.run.consent(self.call_id, self.facts, details, "it asks before this step", what)

    def release(self) -> None:
        """The call has ended: what it reserved and did not use is free again."""
        self._is_open = False
        for reservation in self._reservations:
            if not reservation.outlives_call:
                reservation.release()

    def _settle(self, used: Amounts) -> None:
        """In place of the oldest reservation that is open; what a bridge uses without one, or beyond it, is counted all the same."""
        for reservation in self._reservations:
            if reservation.is_open:
                return reservation.settle_with(used)
        self.run.budgets.count(self.run.account, used)

    def show(self, shown: Shown) -> None:
        self.run.show(shown)

    def clear(self) -> None:
        self.run.sink.clear()

    def write(self, stream: str, text: str) -> None:
        self.run.write(stream, text)

    def log(self, level: str, message: str, fields: dict[str, Value]) -> None:
        if level in LOUD:
            self.run.write("stderr", f"[{level}] {message}\n")
        self._record(Logged(self.run.cell, time.time(), level, message, to_plain(fields, "fields")))

    async def call(
        self,
        bridge: str,
        method: str,
        *args: Value,
        on_text: Callable[[str], None] | None = None,
        level: Level = "read",
        capability: str = "",
        ask: str = "",
    ) -> Any:
        within = EffectContext(self.run, self.run.next_call(), self, level=level, on_text=on_text, capability=capability, ask=ask)
        plain = [to_plain(value, f"argument {position} of {bridge}.{method}") for position, value in enumerate(args, 1)]
        return value_of(await perform(self.run, within, Effect(0, bridge, method), plain))

    async def call_own(
        self, effect: Effect, arguments: list[Value], method: MethodDeclaration, make: Callable[[EffectContext], Awaitable[Value]]
    ) -> Value:
        """As `call`, of what is no bridge's: `make` makes it."""
        within = EffectContext(self.run, self.run.next_call(), self, level="read")
        planned = Planned(effect.bridge, method, lambda: make(within), nothing)
        return value_of(await perform(self.run, within, effect, arguments, planned))

    async def intercept(
        self, effect: Effect, arguments: list[Value], make: Callable[[EffectContext], Awaitable[Value]], *, beside: bool, silent: bool
    ) -> Value:
        """As `call_own`, of what an interceptor does: beside this call, which has not begun, or within it."""
        within = EffectContext(self.run, self.run.next_call(), self.within if beside else self, level="read")
        within.in_interceptor, within.is_silent = True, silent
        planned = Planned(effect.bridge, INTERCEPTION, lambda: make(within), nothing)
        return value_of(await perform(self.run, within, effect, arguments, planned))

    def function(self, callback: Callback) -> KeptFunction:
        return self.run.session.function(self.run.script, callback)

    def fresh_state(self, engine: str, *, allow: Sequence[str] = ()) -> AbstractAsyncContextManager[FreshScript]:
        return self.run.session.fresh_state(self, engine, allow)

    def level_of(self, declared: Level) -> Level:
        """The higher of what the method's declaration says and what its caller does."""
        return max(declared, self._level, key=LEVELS.index)

    async def invoke(self, callback: Callback, *args: Value, as_type: Any = Any) -> Any:
        redactor = self.run.redactor
        if redactor.active:
            args = tuple(redactor.redact_value(to_plain(arg, "an argument")) for arg in args)
        if self.made is not None:
            self.made.add_invocation(callback, bytes(write_values(args)))
        try:
            value = await self.run.invoke(callback, args, self, undecided=as_type is not Any)
        except asyncio.CancelledError:
            self.run.script.exchange.give_up(self)
            raise
        return value if as_type is Any else converted(value, as_type, "the function's result")

    def _record(self, event: AnyEvent) -> None:
        self.run.recorder.record(event)


async def answer(run: CellRun, effect: Effect, within: EffectContext | None) -> Answer:
    """Never raises, except CancelledError: whatever happens is an answer for the script."""
    context = EffectContext(run, run.next_call(), within)
    try:
        arguments = await by_size(len(effect.args), read_arguments, effect.args, run.limits.value_bytes)
    except SpellError as error:
        _refused(run, context, effect, [], error)
        return Answer(effect.id, fault=redacted_fault(fault_of(error, ""), run.redactor))
    done = await perform(run, context, effect, arguments)
    if isinstance(done, Exception):
        return Answer(effect.id, fault=redacted_fault(fault_of(done, f"{effect.bridge}.{effect.method}"), run.redactor))
    return Answer(effect.id, msgspec.Raw(done[1]))


async def perform(
    run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value], planned: Planned | None = None
) -> tuple[Value, bytes] | Exception:
    """The call's value in plain data and its written form, or what refused or failed it; the journal has it.  Raises only what is our own fault.

    Without a plan, it is the call of a bridge, which interceptors may see and policy may refuse.
    """
    if planned is None and run.session.interceptors.known and not context.in_interceptor:
        return await _intercepted(run, context, effect, arguments)
    return await _perform(run, context, effect, arguments, planned)


async def _intercepted(run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value]) -> tuple[Value, bytes] | Exception:
    try:
        decided(run, context, effect)
        interception = await intercepting(run, context, effect, arguments)
    except asyncio.CancelledError:
        _refused(run, context, effect, arguments, Interrupted("stopped before it was begun"))
        raise
    except SpellError as error:
        _refused(run, context, effect, arguments, error)
        return redact_error(error, run.redactor)
    if interception is None:
        return await _perform(run, context, effect, arguments)
    return await _perform(run, context, interception.effect, interception.arguments, None, interception)


async def _perform(
    run: CellRun,
    context: EffectContext,
    effect: Effect,
    arguments: list[Value],
    planned: Planned | None = None,
    interception: Interception | None = None,
) -> tuple[Value, bytes] | Exception:
    try:
        planned = planned or await allowed_call(run, context, effect, arguments)
        if interception is not None and interception.is_answered:
            planned = planned._replace(method=None, make=interception.answer)
    except SpellError as error:
        _refused(run, context, effect, arguments, error)
        if context.asks is not None:
            keep_refusal(run, context, effect, arguments, context.asks, error)
        return redact_error(error, run.redactor)
    except asyncio.CancelledError:
        _refused(run, context, effect, arguments, Interrupted("stopped before it was begun"))
        raise
    await run.keep_pace(len(effect.args))
    started = time.monotonic()
    told = [] if context.is_untold and planned.method is not INTERCEPTION else arguments
    run.recorder.record(
        CallStarted(run.cell, time.time(), context.call_id, effect.bridge, effect.method, told, context.parent, effect.target)
    )
    what = f"{effect.bridge}.{effect.method}"
    try:
        value, text = await come_to(run, context, effect, arguments, planned)
        if interception is not None:
            value, text = await interception.after(value, text)
        check_size(text, f"the answer of {what}", run.limits.value_bytes)
    except asyncio.CancelledError:
        if not _is_cancelled():
            failure = BridgeError(f"{what} failed: something it waited for was cancelled")
            _failed(run, context, started, failure.code, failure.message)
            return failure
        _failed(run, context, started, "cancelled", "stopped", cancelled=True)
        raise
    except Exception as error:
        fault = fault_of(error, what)
        _failed(run, context, started, fault.code, fault.message, retryable=fault.retryable)
        return redact_error(error, run.redactor)
    finally:
        context.release()
    now = time.time()
    seen = None if context.is_untold and planned.method is not INTERCEPTION else value
    run.recorder.record(CallFinished(run.cell, now, context.call_id, seen, time.monotonic() - started, context.replayed))
    run.tell_time(context.ended_s or now)
    return value, text


def value_of(done: tuple[Value, bytes] | Exception) -> Value:
    if isinstance(done, Exception):
        raise done
    return done[0]


def _is_cancelled() -> bool:
    """Was this call given up by us?  A bridge may also meet the cancellation of a task of its own, which is only its failure."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _refused(run: CellRun, context: EffectContext, effect: Effect, arguments: list[Value], error: SpellError) -> None:
    run.recorder.record(
        CallDenied(
            run.cell,
            time.time(),
            context.call_id,
            effect.bridge,
            effect.method,
            [] if context.is_untold else arguments,
            error.code,
            error.message,
            context.parent,
        )
    )


def _failed(
    run: CellRun, context: EffectContext, started: float, code: str, message: str, *, retryable: bool = False, cancelled: bool = False
) -> None:
    now = time.time()
    run.recorder.record(CallFailed(run.cell, now, context.call_id, code, message, time.monotonic() - started, retryable, cancelled))
    run.tell_time(context.ended_s or now)
