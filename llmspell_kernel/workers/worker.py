"""The asyncio driver of one worker process: bytes in and out, nothing decided.

A lost worker is told to everyone who waits, and ever again to everyone who asks.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from ..errors import ConfigError, ProtocolError, RemoteProtocolError, ScriptError, ValueCrossingError, WorkerLost
from ..protocol.conversation import Conversation, End
from ..protocol.framing import MAX_FRAME_BYTES, step_bytes
from ..protocol.messages import (
    Begin,
    CloseState,
    HostMessage,
    Opened,
    OpenState,
    Query,
    Ready,
    Reply,
    Resume,
    Stepped,
    WorkerMessage,
)
from ..protocol.output import Output, OutputReader
from ..protocol.steps import EMPTY_LIST, NULL, UNLIMITED, Allowance, Answer, Invocation, QueryKind, Step
from ..protocol.transitions import Phase
from .spawn import WorkerProcess

READ_BYTES = 1 << 16
"""A read allocates all it may take: a megabyte would cost every effect 20 us."""
IDLE_OUTPUT_BYTES = 1 << 20
"""An engine prints only while a cell runs.  What a cell left in the pipe is far less (a pipe holds 64 KiB); more comes from a broken worker."""


class Worker:
    """One process, any number of states.  `on_output` gets what scripts print, always before the step that follows it."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process
        self._talk = Conversation()
        self._records = OutputReader()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: asyncio.Future[Ready] | None = None
        self._waiting: dict[int, asyncio.Future[WorkerMessage]] = {}
        self._queue: deque[tuple[int, bool]] = deque()
        """(state, is it a step?) of every message that waits for its answer; the worker is at the first."""
        self._to_stop: set[int] = set()
        self._data_bytes: dict[int, int] = {}
        """By open state."""
        self._value_bytes: dict[int, int] = {}
        """By open state."""
        self._unsent = bytearray()
        self._idle_output = 0
        self._lost: WorkerLost | None = None
        self.engines: Mapping[str, Mapping[str, str | bool]] = {}
        self.failed: Mapping[str, str] = {}
        """Why an engine is not among `engines`."""
        self.layers: Mapping[str, str] = {}
        """Of each layer of confinement that was asked for why it is missing, "" for one that holds."""
        self.on_output: dict[int, Callable[[Output], None]] = {}
        self.on_lost: dict[int, Callable[[], None]] = {}
        """By state, as `on_output`: who waits for something else than this worker must learn of its end too."""
        self.on_end: Callable[[], None] = lambda: None
        """The pool's: its place is free."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def asked_layers(self) -> tuple[str, ...]:
        return self._process.layers

    @property
    def alive(self) -> bool:
        return self._lost is None

    @property
    def lost(self) -> WorkerLost | None:
        """How it ended, once it did."""
        return self._lost

    def phase(self, state: int) -> Phase:
        return self._talk.phase(state)

    def is_at(self, state: int) -> bool:
        """Does it work on a message of that state, rather than on another's that came before?"""
        return bool(self._queue) and self._queue[0][0] == state

    async def started(self, timeout_s: float) -> None:
        """Waits for the worker's `ready`.  Raises WorkerLost where it dies first or takes too long."""
        if self._loop is None:
            self._attach(asyncio.get_running_loop())
        assert self._ready is not None
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(self._ready)
        except TimeoutError:
            self.lose(f"it did not start within {timeout_s:g} s")
        if self._lost:
            raise self._lost

    async def open(self, state: int, engine: str, catalogue: bytes, options: bytes, data_bytes: int = 0, value_bytes: int = 0) -> None:
        """Raises ConfigError where the engine could not be loaded, ScriptError where it refuses.

        The process may grow by `data_bytes` for each of its states; a state without them lifts that limit.  No message of it may be larger than
        `value_bytes` allow, of the state that has the most; the same.
        """
        check_engine(engine, self.engines, self.failed)
        self._data_bytes[state], self._value_bytes[state] = data_bytes, value_bytes
        self._limit_data()
        self._limit_messages()
        answer = await self._ask(OpenState(state, engine, msgspec.Raw(catalogue), msgspec.Raw(options)))
        if isinstance(answer, Opened) and answer.fault is not None:
            raise ScriptError(answer.fault.message, code=answer.fault.code)

    async def begin(
        self,
        state: int,
        code: str,
        chunk: str,
        function: str = "",
        args: bytes | msgspec.Raw = EMPTY_LIST,
        *,
        time_s: float = 0.0,
        allowance: Allowance = UNLIMITED,
        callback: int = 0,
    ) -> Step:
        self._to_stop.discard(state)  # what stopped its last cell
        self._idle_output = 0
        return self._stepped(await self._ask(Begin(state, code, chunk, function, msgspec.Raw(bytes(args)), time_s, allowance, callback)))

    async def resume(self, state: int, answers: list[Answer], invocations: list[Invocation], *, time_s: float = 0.0) -> Step:
        return self._stepped(await self._ask(Resume(state, answers, invocations, time_s)))

    async def query(self, state: int, kind: QueryKind, text: str, value: bytes | msgspec.Raw = NULL) -> bytes:
        answer = await self._ask(Query(state, kind, text, msgspec.Raw(bytes(value))))
        assert isinstance(answer, Reply)
        if answer.fault is not None:
            raise (ValueCrossingError if answer.fault.code == "value" else ScriptError)(answer.fault.message)
        return bytes(answer.value)

    def close_state(self, state: int) -> None:
        if self.alive:
            self._unsent += self._talk.send(CloseState(state))
            self._to_stop.discard(state)
            self._data_bytes.pop(state, None)
            self._value_bytes.pop(state, None)
            self._limit_data()
            self._limit_messages()
            self._write()

    def _limit_data(self) -> None:
        if self.alive:
            known = self._data_bytes.values()
            self._process.limit_data(sum(known) if all(known) else None)

    def _limit_messages(self) -> None:
        known = self._value_bytes.values()
        self._talk.limit_received(step_bytes(max(known)) if known and all(known) else MAX_FRAME_BYTES)

    def stop(self, state: int) -> None:
        """Soft: raises the flag that a running script polls, as soon as it is that state's step that runs."""
        self._to_stop.add(state)
        self._aim()

    def _aim(self) -> None:
        """The flag is up exactly while the worker is at a step of a state that must stop."""
        if not self.alive:
            return
        if self._queue:
            state, is_step = self._queue[0]
            if is_step and state in self._to_stop:
                return self._process.raise_stop(state)
        self._process.clear_stop()

    def notice_end(self) -> None:
        """A process that is gone is told as lost at once, not when the event loop next reads its socket."""
        if self.alive and self._process.has_ended():
            self.lose()

    def lose(self, why: str = "") -> None:
        """Hard: kills the process and tells everyone who waits."""
        if self._lost:
            return
        reason = self._process.exit_reason()
        crash = self._process.crash_text().strip().splitlines()
        parts = [why or "it ended", f"({reason})", *([f"its last words: {crash[-1]}"] if crash and not why else [])]
        self._lost = WorkerLost(" ".join(parts), reason=reason)
        self._detach()
        self._process.close()
        waiting: list[asyncio.Future[Any]] = [*self._waiting.values(), *([self._ready] if self._ready else [])]
        for future in waiting:
            if not future.done():
                future.set_exception(self._lost)
                future.exception()  # a waiter that went away must not leave a warning behind
        self._waiting.clear()
        for listener in tuple(self.on_lost.values()):
            listener()
        self.on_end()

    def kill(self) -> None:
        """Only the signal; who waits learns of it when the socket closes."""
        if self.alive:
            self._process.kill()

    def close(self) -> None:
        self.lose("it was closed")

    async def _ask(self, message: HostMessage) -> WorkerMessage:
        if self._lost:
            raise self._lost
        assert self._loop is not None
        future: asyncio.Future[WorkerMessage] = self._loop.create_future()
        data = self._talk.send(message)
        self._queue.append((message.state, isinstance(message, (Begin, Resume))))
        if len(self._queue) == 1:
            self._aim()
        self._waiting[message.state] = future
        self._unsent += data
        self._write()
        if self._lost:
            raise self._lost
        return await future

    def _write(self) -> None:
        assert self._loop is not None
        while self._unsent:
            try:
                sent = self._process.control.send(self._unsent)
            except BlockingIOError:
                self._loop.add_writer(self._process.control, self._write)
                return None
            except OSError:
                return self.lose()
            del self._unsent[:sent]
        self._loop.remove_writer(self._process.control)

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready = loop.create_future()
        loop.add_reader(self._process.control, self._read_control)
        loop.add_reader(self._process.output, self._read_output)

    def _detach(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._process.control)
            self._loop.remove_writer(self._process.control)
            self._loop.remove_reader(self._process.output)

    def _read_control(self) -> None:
        try:
            data = self._process.control.recv(READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        self._talk.receive(data)
        try:
            while (message := self._talk.next_message()) is not None:
                if isinstance(message, End):
                    self._read_output(drain=True)
                    return self.lose()
                self._dispatch(message)
        except RemoteProtocolError as error:
            self.lose(f"it broke the protocol: {error}")

    def _dispatch(self, message: WorkerMessage) -> None:
        if isinstance(message, Ready):
            self.engines, self.failed, self.layers = message.engines, message.failed, message.layers
            assert self._ready is not None
            if not self._ready.done():
                self._ready.set_result(message)
            return
        if isinstance(message, Stepped):
            self._read_output(drain=True)
        if self._queue and self._queue[0][0] == message.state:
            self._queue.popleft()
            self._aim()
        else:
            raise RemoteProtocolError("an answer out of turn")
        future = self._waiting.pop(message.state, None)
        if future is None:
            raise RemoteProtocolError("an answer that nobody asked for")
        if not future.done():
            future.set_result(message)

    def _read_output(self, drain: bool = False) -> None:
        """Everything printed before a step is in the pipe when the step arrives, so draining it keeps the order.

        Only what is there now is drained: a worker that never stops writing must not keep the host here.
        """
        left = self._process.output_waiting() if drain else 1
        while left > 0:
            try:
                data = os.read(self._process.output, READ_BYTES)
            except (BlockingIOError, OSError):
                return None
            left -= len(data)
            if not drain and not self._talk.lively:
                self._idle_output += len(data)
                if self._idle_output > IDLE_OUTPUT_BYTES:
                    return self.lose("it printed without end while no cell ran")
            if not data:
                if self._loop is not None:
                    self._loop.remove_reader(self._process.output)
                return None
            try:
                records = self._records.feed(data)
            except RemoteProtocolError as error:
                return self.lose(f"it broke the protocol: {error}")
            for record in records:
                listener = self.on_output.get(record.state)
                if listener is not None:
                    listener(record)

    @staticmethod
    def _stepped(answer: WorkerMessage) -> Step:
        if not isinstance(answer, Stepped):
            raise ProtocolError("a step was expected")
        return answer.step


def check_engine(engine: str, engines: Collection[str], failed: Mapping[str, str]) -> None:
    """Raises ConfigError for an engine that a worker could not load."""
    if engine not in engines:
        why = failed.get(engine, "the worker does not know it")
        raise ConfigError(f"the engine '{engine}' cannot run here: {why}. `llmspell doctor` says what to mend", engine=engine)
