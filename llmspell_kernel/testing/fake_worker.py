"""A worker without a process: it says what a test wrote down for it, held to the real rules of the protocol.

    pool = FakePool([FakeWorker([Printed("stdout", "hi\\n"), Suspended([Effect(1, "llm", "chat")]), Finished()])])
    session = Session(pool=pool)

Each `begin` and `resume` takes items up to and including the next step; every call is recorded in `calls`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import NamedTuple, cast

import msgspec

from llmspell_kernel.engines._registry import built_in
from llmspell_kernel.errors import RemoteProtocolError, ScriptError, ValueCrossingError, WorkerLost
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.protocol.conversation import Conversation
from llmspell_kernel.protocol.framing import frame
from llmspell_kernel.protocol.messages import (
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
    encode,
)
from llmspell_kernel.protocol.output import Output
from llmspell_kernel.protocol.steps import EMPTY_LIST, NULL, UNLIMITED, Allowance, Answer, Fault, Invocation, QueryKind, Step
from llmspell_kernel.protocol.transitions import Phase
from llmspell_kernel.workers.pool import Clock, WorkerPool
from llmspell_kernel.workers.worker import Worker, check_engine


class Printed(NamedTuple):
    """The script prints, before the step that follows."""

    stream: str
    text: str


class Busy(NamedTuple):
    """The script runs until it is asked to stop; what follows is how it takes that.  A deaf one runs until it is killed.

    `seconds` ends it earlier, by itself.
    """

    deaf: bool = False
    seconds: float | None = None


class Dies(NamedTuple):
    """The process ends."""

    reason: str = "signal SIGKILL"


Item = Step | Printed | Busy | Dies
Recorded = tuple[str, tuple[object, ...]]
_pids = count(1_000_000_000)  # beyond Linux's PID_MAX_LIMIT, so never a real process


class FakeWorker:
    """The public surface of workers.worker.Worker.

    `items` play the script; `replies` answer queries by (kind, text), a Fault refusing them (null where nothing is given);
    `refusal` is why it opens no state; `missing` is why it does not start; `missing_layers` says of layers of confinement why they are not there.
    """

    def __init__(
        self,
        items: Iterable[Item] = (),
        *,
        replies: Mapping[tuple[QueryKind, str], bytes | Fault] | None = None,
        refusal: Fault | None = None,
        missing: str = "",
        engines: Mapping[str, Mapping[str, str | bool]] | None = None,
        missing_layers: Mapping[str, str] | None = None,
    ) -> None:
        self.items = list(items)
        self.calls: list[Recorded] = []
        self.engines: Mapping[str, Mapping[str, str | bool]] = engines or {engine.name: {} for engine in built_in()}
        self.failed: Mapping[str, str] = {}
        self.layers: Mapping[str, str] = {}
        self._asked_layers: tuple[str, ...] = ()
        self._missing_layers = dict(missing_layers or {})
        self.on_output: dict[int, Callable[[Output], None]] = {}
        self.on_lost: dict[int, Callable[[], None]] = {}
        self.on_end: Callable[[], None] = lambda: None
        self._replies = dict(replies or {})
        self._refusal = refusal
        self._missing = missing
        self._pid = next(_pids)
        self._talk = Conversation()
        self._lost: WorkerLost | None = None
        self._stop = asyncio.Event()
        self._end = asyncio.Event()

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def asked_layers(self) -> tuple[str, ...]:
        return self._asked_layers

    def confine(self, layers: tuple[str, ...]) -> None:
        """What the spawn arguments of a process say."""
        self._asked_layers = layers
        self.layers = {name: self._missing_layers.get(name, "") for name in layers}

    def notice_end(self) -> None:
        """A fake ends where its test says so."""

    @property
    def alive(self) -> bool:
        return self._lost is None

    @property
    def lost(self) -> WorkerLost | None:
        return self._lost

    def phase(self, state: int) -> Phase:
        return self._talk.phase(state)

    def is_at(self, state: int) -> bool:
        return True

    def of(self, name: str) -> list[tuple[object, ...]]:
        """The arguments of every call of one name: `worker.of("resume")`."""
        return [arguments for called, arguments in self.calls if called == name]

    async def started(self, timeout_s: float) -> None:
        self.calls.append(("started", (timeout_s,)))
        if self._missing:
            self.lose(self._missing)
        await self._pass()
        self._hear(Ready(self._pid, {name: dict(facts) for name, facts in self.engines.items()}, layers=dict(self.layers)))

    async def open(self, state: int, engine: str, catalogue: bytes, options: bytes, data_bytes: int = 0, value_bytes: int = 0) -> None:
        self.calls.append(("open", (state, engine, catalogue, options)))
        check_engine(engine, self.engines, self.failed)
        self._say(OpenState(state, engine, msgspec.Raw(catalogue), msgspec.Raw(options)))
        await self._pass()
        self._hear(Opened(state, self._refusal))
        if self._refusal is not None:
            raise ScriptError(self._refusal.message, code=self._refusal.code)

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
        self.calls.append(
            ("call", (state, function or callback, bytes(args), chunk)) if function or callback else ("begin", (state, code, chunk))
        )
        self._stop.clear()
        self._say(Begin(state, code, chunk, function, msgspec.Raw(bytes(args)), time_s, allowance, callback))
        return await self._play(state)

    async def resume(self, state: int, answers: list[Answer], invocations: list[Invocation], *, time_s: float = 0.0) -> Step:
        self.calls.append(("resume", (state, answers, invocations)))
        self._say(Resume(state, answers, invocations, time_s))
        return await self._play(state)

    async def query(self, state: int, kind: QueryKind, text: str, value: bytes | msgspec.Raw = NULL) -> bytes:
        self.calls.append(("query", (state, kind, text, bytes(value))))
        self._say(Query(state, kind, text, msgspec.Raw(bytes(value))))
        await self._pass()
        reply = self._replies.get((kind, text), b"null")
        if isinstance(reply, Fault):
            self._hear(Reply(state, fault=reply))
            raise (ValueCrossingError if reply.code == "value" else ScriptError)(reply.message)
        self._hear(Reply(state, msgspec.Raw(reply)))
        return reply

    def close_state(self, state: int) -> None:
        self.calls.append(("close_state", (state,)))
        if self.alive:
            self._say(CloseState(state))

    def stop(self, state: int) -> None:
        self.calls.append(("stop", (state,)))
        self._stop.set()

    def lose(self, why: str = "") -> None:
        self.calls.append(("lose", (why,)))
        self._die(why or "it ended", "signal SIGKILL")

    def kill(self) -> None:
        self.calls.append(("kill", ()))
        self._die("it ended", "signal SIGKILL")

    def close(self) -> None:
        self.calls.append(("close", ()))
        self._die("it was closed", "signal SIGKILL")

    async def _pass(self) -> None:
        """An answer never comes in the turn of the event loop that asked for it."""
        await asyncio.sleep(0)
        self._check_alive()

    async def _play(self, state: int) -> Step:
        await self._pass()
        while True:
            if not self.items:
                raise AssertionError(f"the items of this FakeWorker are used up; its last call was {self.calls[-1]}")
            match self.items.pop(0):
                case Printed(stream, text):
                    listener = self.on_output.get(state)
                    if listener is not None:
                        listener(Output(state, stream, text))
                case Busy(deaf, seconds):
                    await self._run_on(deaf, seconds)
                case Dies(reason):
                    self._die("it ended", reason)
                case step:
                    self._hear(Stepped(state, step))
                    self._check_alive()
                    return step
            self._check_alive()

    async def _run_on(self, deaf: bool, seconds: float | None) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._end, *(() if deaf else (self._stop,)))]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _say(self, message: HostMessage) -> None:
        self._check_alive()
        self._talk.send(message)

    def _hear(self, message: WorkerMessage) -> None:
        """What the test made us say goes through the real checks, as if it had come through the socket."""
        self._talk.receive(frame(encode(message)))
        try:
            self._talk.next_message()
        except RemoteProtocolError as error:
            self._die(f"it broke the protocol: {error}", "signal SIGKILL")
            self._check_alive()

    def _check_alive(self) -> None:
        if self._lost:
            raise self._lost

    def _die(self, why: str, reason: str) -> None:
        if self._lost is None:
            self._lost = WorkerLost(f"{why} ({reason})", reason=reason)
            self._end.set()
            for listener in tuple(self.on_lost.values()):
                listener()
            self.on_end()


class FakePool(WorkerPool):
    """The real pool, whose processes are the given fakes, in order; `workers` lists those that were started."""

    def __init__(
        self,
        fakes: Sequence[FakeWorker] = (),
        *,
        startup_s: float = 1.0,
        policy: WorkerPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__((), policy=policy or WorkerPolicy(), startup_s=startup_s, clock=clock)
        self._fakes = list(fakes)
        self.workers: list[FakeWorker] = []

    def _start(self) -> Worker:
        fake = self._fakes.pop(0) if self._fakes else FakeWorker()
        fake.confine(self._layers)
        self.workers.append(fake)
        return cast(Worker, fake)  # a test compares the two surfaces
