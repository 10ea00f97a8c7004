"""An engine for tests of workers: its code is a command that says how the process behaves."""

from __future__ import annotations

import _socket
import _thread
import ctypes
import errno
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from llmspell_kernel.engines._engine import Emit, Options, StopFlag
from llmspell_kernel.protocol.framing import frame
from llmspell_kernel.protocol.messages import Stepped, encode
from llmspell_kernel.protocol.output import record
from llmspell_kernel.protocol.steps import Allowance, Effect, Finished, Step, Suspended


class ActingState:
    def __init__(self, stop: StopFlag, emit: Emit, options: Options) -> None:
        self._stop = stop
        self._emit = emit
        self._options = options

    def allow(self, allowance: Allowance) -> None: ...

    def tell_time(self, time_s: float) -> None: ...

    def start(self, code: str, chunk: str) -> Step:
        command, _, rest = code.partition(" ")
        getattr(self, command)(rest)
        return Finished()

    def resume(self, answers: Any, invocations: Any) -> Step:
        return Finished()

    def query(self, kind: str, text: str, value: bytes) -> bytes:
        return json.dumps(sorted(sys.modules)).encode()

    def close(self) -> None: ...

    def nothing(self, rest: str) -> None: ...

    def python(self, rest: str) -> None:
        """Runs Python in this process, as who has broken out of an engine would, and prints the name of what it raised, or `done`."""

        def call(name: str, *arguments: Any) -> None:
            """A function of the C library."""
            if getattr(libc, name)(*arguments) < 0:
                raise OSError(ctypes.get_errno(), name)

        libc = ctypes.CDLL(None, use_errno=True)
        modules = {"os": os, "socket": _socket, "thread": _thread, "resource": resource, "ctypes": ctypes, "time": time}
        said = "done"
        try:
            exec(rest, {**modules, "call": call, "say": lambda text: self._emit(1, text.encode())})
        except OSError as error:
            said = errno.errorcode[error.errno or 0]
        except RuntimeError as error:
            said = str(error)
        self._emit(1, said.encode())

    def exit(self, rest: str) -> None:
        os._exit(int(rest))

    def last_words(self, rest: str) -> None:
        os.write(2, rest.encode())
        os._exit(3)

    def signal(self, rest: str) -> None:
        os.kill(os.getpid(), int(rest))

    def hang(self, rest: str) -> None:
        signal.pause()

    def control(self, rest: str) -> None:
        """Writes bytes to the control socket, whose number stands on our command line."""
        os.write(int(sys.argv[1]), bytes.fromhex(rest))
        signal.pause()

    def step_twice(self, rest: str) -> None:
        os.write(int(sys.argv[1]), frame(encode(Stepped(self._options.state, Finished()))) * 2)
        signal.pause()

    def other_state(self, rest: str) -> None:
        os.write(int(sys.argv[1]), frame(encode(Stepped(999, Finished()))))

    def same_effect_twice(self, rest: str) -> None:
        step = Suspended([Effect(1, "a", "b", msgspec.Raw(b"[]"))] * 2)
        os.write(int(sys.argv[1]), frame(encode(Stepped(self._options.state, step))))

    def malformed_output(self, rest: str) -> None:
        os.write(1, b"\0" * 9)

    def close_control(self, rest: str) -> None:
        """Closes the socket, and lives on."""
        os.close(int(sys.argv[1]))
        signal.pause()

    def say(self, rest: str) -> None:
        for line in rest.split():
            self._emit(1, line.encode())

    def flood_from_a_thread(self, rest: str) -> None:
        """Returns, and goes on printing for ever."""

        def flood() -> None:
            piece = record(self._options.state, 1, b"x" * 60_000)
            while True:
                os.write(1, piece)

        threading.Thread(target=flood, daemon=True).start()


class ActingEngine:
    facts: Mapping[str, str | bool] = {"language_version": "1", "writes_bytecode": not sys.dont_write_bytecode}

    def __init__(self, stop: StopFlag, emit: Emit) -> None:
        self._stop = stop
        self._emit = emit

    def open(self, options: Options, catalogue: Mapping[str, Any]) -> ActingState:
        if "refuse" in catalogue:
            raise ValueError("no such state today")
        return ActingState(self._stop, self._emit, options)


def create_engine(stop: StopFlag, emit: Emit) -> ActingEngine:
    return ActingEngine(stop, emit)
