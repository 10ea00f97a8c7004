"""The effect loop of one cell: steps of the worker in, answers out, until the script ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ..bridges._declaration import MethodDeclaration, ResourceDeclaration
from ..errors import LimitError, ReplayError, ScriptError, SpellError, WorkerLost
from ..journal.events import BudgetWarned
from ..policy.approval import ApprovalRequest
from ..policy.budgets import Line, Tally
from ..policy.decide import EffectFacts, Grants
from ..policy.limits import Limits
from ..protocol.output import Output
from ..protocol.steps import Background, Effect, Failed, Fault, Finished, Step, Suspended
from ..redaction import StreamRedactor
from ..settings import PYTHON
from ..shown import Progress, Shown, measured
from ..values import Callback, Value
from .approval import denied
from .budgets import Account
from .faults import error_of, told
from .history import PastCell
from .large_values import LARGE_BYTES, by_size
from .met_limits import met
from .output_tail import OutputTail
from .redacted import RedactedSink
from .script_state import INTERRUPT, TOTAL_TIME, FunctionCall, ScriptState
from .total_time import TotalTime
from .transcript import Made
from .value_lists import read_results

if TYPE_CHECKING:
    from .effects import EffectContext
    from .playback import Playback
    from .session import Session


class CellRun:
    """Everything that lives as long as one cell runs."""

    def __init__(
        self, session: Session, state: ScriptState, cell: int, chunk: str, sink: RedactedSink, limits: Limits, grants: Sequence[Grants]
    ) -> None:
        self.session = session
        self.script = state
        self.cell = cell
        self.chunk = chunk
        self.sink = sink
        self.limits = limits
        self.grants = self.inner_grants = grants
        """Of the script's own calls, and of those that bridges make in answer to them."""
        self.effects = 0
        self.recorder = session.recorder
        self.redactor = session.redactor
        self._streams: dict[str, StreamRedactor] = {}
        self.resources = session.resources
        self.bridges = session.bridges
        self.declarations = session.declarations
        self.failed_bridges: Mapping[str, str] = session.failed_bridges
        self.taping = session.taping
        self.playback: Playback | None = None
        """Answers every call of a cell that is run again to restore its state."""
        self.missing: list[str] = []
        """Calls that it had no answer for."""
        self.kept_calls: list[Made] = []
        """In the order in which they were answered; none once they take more than the history may."""
        self.kept_bytes = 0
        self.kept_news = asyncio.Event()
        self.over = asyncio.Event()
        """Is its state free for the next cell?"""
        self._is_past = False
        """Has the cell ended, so that its history grows with what it left in the background?"""
        self.resumes = 0
        """How often the script has gone on with answers."""
        self.called_within: EffectContext | None = None
        """The call of another run that this one is a part of."""
        self.within: EffectContext | None = None
        """The call within which the script asks what it asks now; None outside any of this run."""
        self.holds_resources = True
        self.stopped = self.begun = False
        self.cut_short = False
        """Was the script stopped, by whatever, before it came to its end?"""
        self.exceeded: LimitError | None = None
        """The limit that the host has stopped this cell for."""
        self.background: Background | None = None
        """What the cell left behind when it ended."""
        self.script_time_s = 0.0
        self.started_s = self.began_s = 0.0
        """Unix time, as the journal has it."""
        self.output_bytes = 0
        self._output_full = False
        self._tail = OutputTail(limits.output_bytes)
        self._bars: set[int] = set()
        self._told: set[str] = set()
        self._sink_failure: Exception | None = None
        self._live = False
        self.budgets = session.budgets
        self.account = Account(self.tell, self._budget_is_near)
        self.total_time = TotalTime(limits.total_time_s, session.clock)
        self._questions: set[asyncio.Task[None]] = set()

    @property
    def engine(self) -> str:
        return self.script.engine

    @property
    def state_name(self) -> str:
        return self.script.name

    @property
    def state_number(self) -> int:
        return self.script.number

    @property
    def asks_within(self) -> EffectContext | None:
        """The call that still goes on within which the script asks what it asks now; None outside any."""
        return (self.within.innermost_open if self.within is not None else None) or self.called_within

    @property
    def is_live(self) -> bool:
        """Does the cell wait, so that functions of its script can be called?"""
        return self._live

    def asked(self, effect: Effect, method: MethodDeclaration, written: bytes) -> Made:
        """What is kept of a call that is about to be made."""
        return Made(
            self.session.next_place(), self.state_number, f"{effect.bridge}.{effect.method}", effect.target, written, method.volatile
        )

    def is_replayed(self, method: MethodDeclaration | None) -> bool:
        """Is such a call never made, so that nobody need be asked?"""
        if self.playback is not None:
            return True
        return self.taping is not None and self.taping.mode == "replay" and method is not None and self.taping.takes(method)

    @property
    def is_stopping(self) -> bool:
        """Is the cell told to stop, by whatever?"""
        return self.stopped or bool(self.script.stopping)

    def ended(self, made: Made) -> None:
        """A call has come to its end, in an order that is counted and not read from clocks, which a tape and an administrator set back."""
        made.answered, made.step = self.session.next_place(), (self.cell, self.resumes)

    def keep(self, made: Made) -> None:
        """What a call came to is all known now."""
        history, size_bytes = self.script.history, made.size_bytes
        self.kept_bytes += size_bytes
        if self._is_past:
            history.grew(self.kept_calls, size_bytes)
        if self.kept_bytes <= history.most_bytes:
            self.kept_calls.append(made)
            self.kept_news.set()
        else:  # its state cannot be restored any more: nothing of this is of use
            self.kept_calls.clear()

    def past(
        self, work: str | FunctionCall, inputs: Sequence[tuple[str, bytes]] = (), *, failed: bool = False, left_out: str = ""
    ) -> PastCell:
        """What is kept of the cell, which has ended."""
        self._is_past = True
        # the list itself: what the cell has left in the background adds to it
        calls = self.kept_calls
        return PastCell(self.cell, self.chunk, work, inputs, calls, failed, left_out, began_s=self.began_s, at_end=len(calls))

    def resource_kind(self, name: str) -> ResourceDeclaration:
        """Of a thing that a cassette names.  Raises ReplayError where no bridge has such things any more."""
        if (kind := self.declarations.of_resource(name)) is not None:
            return kind
        raise ReplayError(f"the cassette has a {name}, and no bridge here gives one")

    def next_call(self) -> int:
        return self.session.next_call()

    def interrupt(self, why: str = INTERRUPT) -> None:
        self.stopped = True
        self.script.stop(why)
        self.script.exchange.news.set()

    def exceed(self, limit: str, value: float, used: float) -> LimitError:
        """The cell meets a limit that the host counts: it is over.  The error is for whoever is no script."""
        error = self.exceeded = met(limit, value, used)
        self.script.exceed(error)
        self.script.exchange.news.set()
        return error

    def tell_time(self, time_s: float) -> None:
        """An event of the journal: what the script sees next has its time."""
        self.script.time_s = max(self.script.time_s, time_s)

    async def keep_pace(self, size_bytes: int) -> None:
        """Holds an effect back that comes too fast, or is as large as many others that come from their thread at once."""
        wait_s = self.script.pace.wait_s(self.limits.effects_per_s, time.monotonic())
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        if size_bytes > LARGE_BYTES:
            await self.script.exchange.breathe()

    def gave(self, effect: int, resource: int) -> None:
        """The answer of that effect will hold a resource."""
        self.script.exchange.gave(effect, resource)

    def show(self, shown: Shown) -> None:
        """Shown things count in the same budget as printed text: by their own size or, where that is more, as they are rendered.

        The states of a progress bar take each other's place, so only the first one counts.
        """
        null = self.session.null_word(self.script.engine)
        if isinstance(shown, Progress) and shown.bar in self._bars:
            self.sink.show(shown, null)
            return
        self._write_held()
        if self._output_full:
            return
        shown, size = measured(shown)
        if self.output_bytes + size > self.limits.output_bytes:
            return self._note_full()
        if isinstance(shown, Progress):
            self._bars.add(shown.bar)
        self.output_bytes += max(size, self.sink.show(shown, null))

    def write(self, stream: str, text: str) -> None:
        """Printed text, up to the cell's cap; of what is over, one notice and the end."""
        if self.redactor.active:  # before it is cut: of a secret on the cut, both halves would be shown
            if stream not in self._streams:
                self._streams[stream] = self.redactor.stream()
            text = self._streams[stream].feed(text)
        self._write(stream, text)

    def _write_held(self) -> None:
        """What was held back, as it may have begun a secret: something else comes after it, or nothing any more."""
        for stream, redacted in self._streams.items():
            self._write(stream, redacted.flush())

    def _write(self, stream: str, text: str) -> None:
        if not text:
            return
        data = text.encode("utf-8", "replace")
        if self._output_full:
            return self._tail.add(stream, data)
        room = self.limits.output_bytes - self.output_bytes
        self.output_bytes += len(data)
        if len(data) <= room:
            return self.sink.write(stream, text)
        if room > 0:
            self.sink.write(stream, data[:room].decode("utf-8", "ignore"))
        self._note_full()
        self._tail.add(stream, data[max(room, 0) :])

    def _note_full(self) -> None:
        self._output_full = True
        self.sink.write("stderr", f"\n[output over {self.limits.output_bytes} bytes is not shown, but for its end]\n")

    def end_output(self) -> None:
        """Shows the end of what was over the cap: with the cell's end, and again with that of its background."""
        if self._sink_failure is not None:
            return
        try:
            self._write_held()
            pieces = self._tail.take()
            left_out, self._tail.left_out = self._tail.left_out, 0
            if left_out:
                self.sink.write("stderr", f"[{left_out} bytes left out]\n")
            for stream, text in pieces:
                self.sink.write(stream, text)
        except Exception as error:
            self._sink_failure = error

    async def invoke(self, callback: Callback, args: Sequence[Value], within: EffectContext, *, undecided: bool = False) -> Value:
        """Calls a function of the script; the cell waits, so its worker is there to run it.  `undecided` leaves empty Lua tables as such."""
        if not self._live:
            raise ScriptError("a function of a script can only be called while the cell that gave it waits for the call", code="callback")
        return await self.script.exchange.invoke(callback, args, within, undecided=undecided)

    async def consent(self, call: int, effect: EffectFacts, arguments: Mapping[str, Value], reason: str, what: str = "") -> None:
        """Asks the user.  Raises DeniedError where the answer is no, also because nobody is there to give it."""
        state = self.script
        if self.redactor.active:  # the front end keeps what it was asked
            arguments, what = self.redactor.redact_value(dict(arguments)), self.redactor.redact(what)
        request = ApprovalRequest(effect.capability, effect.level, arguments, state.engine, state.name, self.chunk, reason, what)
        if state.engine != PYTHON and not self._live:
            raise denied(request, "nobody can be asked in the background of a cell that has ended")
        question = asyncio.create_task(self.session.desk.ask(self, call, request))
        self._questions.add(question)
        try:
            await question
        except asyncio.CancelledError:
            question.cancel()
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise denied(request, "the cell ended before the user had answered") from None
        finally:
            self._questions.discard(question)

    async def execute(self, code: str | FunctionCall) -> list[Value]:
        """The cell's results.  Raises SpellError: the script's own fault, or what stopped it."""
        self.began_s = self.script.time_s
        self.total_time.start(lambda: self.interrupt(TOTAL_TIME))
        self.script.listen(self.printed, self.script.exchange.news.set)
        self._live, ended_well = True, False
        try:
            values = await self._loop(code)
            ended_well = self._sink_failure is None
            return values
        except asyncio.CancelledError:
            # whoever awaits us went away: the script must not go on without its cell
            self.interrupt()
            self.script.close()
            raise
        except Exception as error:
            if not self.script.in_a_cell():
                raise
            # our own failure between two steps; a script that waits for ever could not be given its next cell either
            self.script.close()
            lost = WorkerLost(f"the cell could not go on ({type(error).__name__}: {error})", reason=f"closed after {type(error).__name__}")
            raise self.script.explain(lost) from error
        finally:
            self._live = False
            self.total_time.end()
            for question in self._questions:
                question.cancel()  # the front end shows no question of a cell that has ended
            self.script.listen_no_more()
            self.end_output()
            if self.begun or not self.script.lingers:  # else what an earlier cell left goes on
                await self.end_effects(self.background.open if self.background is not None else ())
            if not ended_well:
                await self.resources.release_run(self)
            if self.script.worker is None:
                await self.resources.release_state(self.state_number)
            self.flush()
            if self._sink_failure is not None:
                raise self._sink_failure

    async def _loop(self, code: str | FunctionCall) -> list[Value]:
        try:
            step = await self.timed(self.script.begin(code, self.chunk, self.budget_s()))
            self.begun = True
            while isinstance(step, Suspended):
                self.script.exchange.take(step, self, start=not self.script.stopping)
                step = await self.resume()
        except SpellError as error:
            explained = self.script.explain(error)
            if explained is error:
                raise
            raise explained from error
        self.take_background(step.background)
        if isinstance(step, Failed):
            fault = error_of(self._whole(step.fault), self.script.engine)
            raise (self.script.explain(fault) if self.script.stopping else fault)
        assert isinstance(step, Finished)
        if self.exceeded is not None:  # the stop came too late, or to nothing, as in a worker that reads no flag
            raise self.script.explain(self.exceeded)
        return await by_size(len(step.values), read_results, step.values, self.limits.value_bytes)

    def _whole(self, fault: Fault) -> Fault:
        """With the fields that no engine carries."""
        fault, cap = self.script.exchange.with_fields(fault), self.script.opened_with.limits.memory_bytes
        if fault.limit == "memory_bytes" and not fault.value:
            return msgspec.structs.replace(fault, value=cap, used=cap)
        return fault

    async def resume(self) -> Step:
        """Waits until there is something to tell the script, then lets it go on."""
        exchange = self.script.exchange
        while not (exchange.has_message or exchange.is_idle or self.script.stopping or self.script.worker is None):
            exchange.news.clear()
            await exchange.news.wait()
        self.resumes += 1
        answers, invocations, self.within = ([], [], None) if self.script.stopping else exchange.message()
        return await self.timed(self.script.resume(answers, invocations, self.budget_s()))

    def take_background(self, background: Background | None) -> None:
        """What goes on after a cell or slice: its effects begin, its uncaught errors are told."""
        self.background = background if background is not None and background.open else None
        labels = background.tasks if self.background is not None and background is not None else []
        self.script.background_tasks = [self.redactor.redact(label) for label in labels]
        if background is None:
            return
        self.script.exchange.take(background, self)
        for text in told(background.failed):
            self.printed(Output(self.state_number, "stderr", f"[{text}]\n"))  # the script's text: it counts as output

    async def end_effects(self, keep: Sequence[int] = ()) -> None:
        """Cancels what still runs for this cell, and waits until it is gone; not for ever, as a bridge can resist."""
        left = await self.script.exchange.end(self.limits.end_s, keep)
        if left:
            self.tell(f"{', '.join(left)}: told to stop, still running after {self.limits.end_s:g} s; what comes of it is dropped")

    def flush(self) -> None:
        """Shows what the sink holds back, as it may be the beginning of a secret: after `end_output`, and after lines of ours that came later."""
        try:
            self.sink.flush()
        except Exception as error:
            self._sink_failure = self._sink_failure or error

    def tell(self, text: str) -> None:
        """A line of ours on the cell's stderr."""
        try:
            self.sink.write("stderr", f"[{text}]\n")
        except Exception as error:
            self._sink_failure = self._sink_failure or error

    def tell_once(self, text: str) -> None:
        """The same, of what a script can bring about again and again."""
        if text not in self._told:
            self._told.add(text)
            self.tell(text)

    def _budget_is_near(self, line: Line) -> None:
        self.recorder.record(BudgetWarned(self.cell, time.time(), line.key, line.used - line.reserved, line.cap))
        self.tell(str(line))

    async def timed(self, step: Awaitable[Step]) -> Step:
        started = time.monotonic()
        try:
            return await step
        finally:
            self.script_time_s += time.monotonic() - started

    def goes_on_from(self, first: CellRun) -> None:
        """What an init script used counts as this cell's."""
        self.effects += first.effects
        self.account.tally = Tally(first.account.tally.used)
        self.script_time_s += first.script_time_s
        self.output_bytes += first.output_bytes
        self._output_full = first._output_full

    def renew_budget(self) -> None:
        """What goes on in the background has the script time of a whole cell."""
        self.script_time_s = 0.0

    def budget_s(self) -> float:
        return self.limits.script_time_s - self.script_time_s

    def printed(self, output: Output) -> None:
        try:
            self.write(output.stream, output.text)
        except Exception as error:
            # called by the event loop, where an error would be lost and the cell would wait for ever
            self._sink_failure = self._sink_failure or error
            self.interrupt()
