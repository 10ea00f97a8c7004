"""The worker process: reads a message, runs a step, writes what came of it.  Started by spawn.py under `python -I -S`.

Rules
- Descriptors: 0 is empty, 1 the output pipe, 2 an own pipe for crash texts, one control socket, one page shared with the host.  Nothing else.
- The host is trusted here; the script is not, and sees neither descriptors nor Python objects.
- The process ends when the host does (PR_SET_PDEATHSIG) and when the control socket closes.
- Whatever is read of the machine is read before `ready`: modules, an engine's files, the time zone.  Then the layers of confinement are applied
  that the host asked for, and no file can be opened any more.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import msgspec

from ..engines._engine import Options
from ..errors import SpellError
from ..protocol.framing import MAX_FRAME_BYTES, FrameReader, frame, step_bytes
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
    clipped,
    decode_from_host,
    encode,
)
from ..protocol.output import record
from ..protocol.steps import Failed, Fault, Step, Suspended
from .confinement import apply_layers
from .stop_page import PAGE_BYTES, STOP_VARIABLE, TARGET_AT, TARGET_BYTES

READ_BYTES = 1 << 16
"""A read allocates all it may take: a megabyte would cost every effect 20 us."""
MAX_FAILURE_CHARS = 2_000
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


class SharedStop:
    """The worker's end of stop_page."""

    variable = STOP_VARIABLE

    def __init__(self, page: mmap.mmap) -> None:
        self._page = page
        self._at = len(STOP_VARIABLE) + 1
        start = ctypes.addressof(ctypes.c_char.from_buffer(page))
        self.address = start + self._at
        # putenv keeps the pointer itself, so the host's write to the page is at once what getenv returns
        if ctypes.CDLL(None).putenv(ctypes.c_void_p(start)) != 0:
            raise OSError("putenv failed")

    def raised(self) -> bool:
        return self._page[self._at] != 0x30

    def stop(self, state: int) -> None:
        """As the host does it: what that state runs or waits for next is given up."""
        self._page[TARGET_AT : TARGET_AT + TARGET_BYTES] = state.to_bytes(TARGET_BYTES, "little")
        self._page[self._at] = 0x31

    def begin_step(self, state: int) -> None:
        """A stop that was meant for another state, and came after its step had ended, is none."""
        if self.raised() and int.from_bytes(self._page[TARGET_AT : TARGET_AT + TARGET_BYTES], "little") != state:
            self._page[self._at] = 0x30


def confine() -> None:
    """What needs no privilege and no kernel feature: no core files, no file writing, few descriptors, death with the host.

    The host limits memory (WorkerProcess.limit_data).  RLIMIT_CPU is left out: it counts over a worker's whole life, and the host kills a
    worker whose time is over; one whose host is gone dies with it.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # bytecode cannot be written either, and a worker killed while it tries leaves an empty file in __pycache__
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # the terminal's Ctrl-C is for the host, which then stops us by the page or by a kill
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def settle_time_zone() -> None:
    """The C library asks the time zone's file again and again, unless TZ names it; afterwards that would be refused, and local time be UTC.

    By putenv alone: what exec was given, and /proc/self/environ shows, stays as it is.
    """
    os.putenv("TZ", ":/etc/localtime")
    time.tzset()


class Loaded:
    """The engines that work here, what they say of themselves, and why the others do not: one that fails takes no other with it."""

    def __init__(self) -> None:
        self.engines: dict[str, Any] = {}
        self.facts: dict[str, dict[str, str | bool]] = {}
        self.failed: dict[str, str] = {}

    def load(self, name: str, interpreter: str, stop: SharedStop, emitter: Emitter) -> None:
        try:
            engine = import_module(interpreter).create_engine(stop, emitter)
            self.facts[name] = msgspec.convert(dict(engine.facts), dict[str, str | bool])
            self.engines[name] = engine
        except SpellError as error:
            self.failed[name] = error.message
        except (Exception, SystemExit) as error:
            self.failed[name] = f"{type(error).__name__}: {error}"[:MAX_FAILURE_CHARS]


class Child:
    """One worker: engines, and the states made from them."""

    def __init__(self, engines: dict[str, Any], emitter: Emitter, stop: SharedStop) -> None:
        self._engines = engines
        self._stop = stop
        self._emitter = emitter
        self._states: dict[int, Any] = {}
        self._step_bytes: dict[int, int] = {}

    def answer(self, message: HostMessage) -> bytes | None:
        """What the host is told, at a size it takes: a step that asks for too much at once ends its cell, not the worker."""
        answer = self.handle(message)
        if answer is None:
            return None
        data = encode(clipped(answer))
        limit = self._step_bytes.get(message.state, MAX_FRAME_BYTES)
        asks = isinstance(answer, Stepped) and isinstance(answer.step, Suspended)
        if len(data) <= limit or not (asks and isinstance(message, (Begin, Resume))):
            return data
        self._stop.stop(message.state)
        self._step(message.state, message.time_s, lambda engine: engine.resume([], []))
        text = f"the cell asked for {len(data)} bytes of effects at once, over {limit} bytes; wait for some before you ask for more"
        return encode(Stepped(message.state, Failed(Fault("limit", text, "LimitError", limit="step_bytes", value=limit, used=len(data)))))

    def handle(self, message: HostMessage) -> WorkerMessage | None:
        match message:
            case OpenState():
                return self._open(message)
            case Begin():
                return self._begin(message)
            case Resume(state=state, answers=answers, invocations=invocations, time_s=time_s):
                return self._step(state, time_s, lambda engine: engine.resume(answers, invocations))
            case Query():
                return self._query(message)
            case CloseState(state=state):
                self._states.pop(state).close()
                return None

    def _open(self, message: OpenState) -> WorkerMessage:
        try:
            options = msgspec.json.decode(message.options, type=Options)
            self._step_bytes[message.state] = step_bytes(options.max_value_bytes)
            self._states[message.state] = self._engines[message.engine].open(options, json.loads(bytes(message.catalogue)))
        except Exception as error:
            return Opened(message.state, Fault("internal", f"cannot open a {message.engine} state: {type(error).__name__}: {error}"))
        return Opened(message.state)

    def _begin(self, message: Begin) -> WorkerMessage:
        def run(state: Any) -> Step:
            state.allow(message.allowance)
            if message.function or message.callback:
                return state.call(message.function, message.args, message.chunk, message.callback)  # type: ignore[no-any-return]
            return state.start(message.code, message.chunk)  # type: ignore[no-any-return]

        return self._step(message.state, message.time_s, run)

    def _step(self, state: int, time_s: float, run: Callable[[Any], Step]) -> WorkerMessage:
        self._emitter.state = state
        self._stop.begin_step(state)
        try:
            self._states[state].tell_time(time_s)
            step: Step = run(self._states[state])
        except MemoryError:
            step = Failed(Fault("limit", "the worker's memory limit was met"))
        except Exception as error:
            step = Failed(Fault("internal", f"the engine failed: {type(error).__name__}: {error}"))
        return Stepped(state, step)

    def _query(self, message: Query) -> WorkerMessage:
        try:
            answer = self._states[message.state].query(message.kind, message.text, bytes(message.value))
        except SpellError as error:
            return Reply(message.state, fault=Fault(error.code, error.message))
        except Exception as error:
            return Reply(message.state, fault=Fault("internal", f"the query failed: {type(error).__name__}: {error}"))
        return Reply(message.state, msgspec.Raw(answer))


class Emitter:
    """Writes printed text as records of the state that runs."""

    def __init__(self) -> None:
        self.state = 0

    def __call__(self, stream: int, text: bytes) -> None:
        piece = 1 << 20
        for at in range(0, len(text), piece):
            write_all(1, record(self.state, stream, text[at : at + piece]))


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def main(control: int, page_descriptor: int, interpreters: str, layers: str, host: int) -> None:
    confine()
    if os.getppid() != host:  # it died before it was to take us along
        os._exit(0)
    page = mmap.mmap(page_descriptor, PAGE_BYTES)
    os.close(page_descriptor)
    stop, emitter = SharedStop(page), Emitter()
    loaded = Loaded()
    for name, module in json.loads(interpreters).items():
        loaded.load(name, module, stop, emitter)
    child = Child(loaded.engines, emitter, stop)
    settle_time_zone()
    active = apply_layers(json.loads(layers))
    write_all(control, frame(encode(Ready(os.getpid(), loaded.facts, loaded.failed, active))))
    frames = FrameReader()
    while True:
        data = os.read(control, READ_BYTES)
        if not data:
            os._exit(0)
        frames.feed(data)
        while (payload := frames.next_frame()) is not None:
            answer = child.answer(decode_from_host(payload))
            if answer is not None:
                write_all(control, frame(answer))
