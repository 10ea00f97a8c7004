"""A kernel in a process of its own and a client that times it and keeps every message with its size and arrival."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import psutil  # type: ignore[import-untyped]
from figures import Unmeasurable
from jupyter_client.manager import KernelManager

IPYKERNEL = "python3"
"""jupyter_client finds ipykernel's own specification under this name also where none is installed."""
TIMEOUT_S = 120.0


class Message(NamedTuple):
    """One IOPub message: `bytes` is what crossed the wire, `arrived` the client's clock."""

    kind: str
    content: Mapping[str, Any]
    date: datetime
    bytes: int
    arrived: float


class Ran(NamedTuple):
    """`seconds` from sending to having both reply and idle; `seconds_in_kernel` between the kernel's own busy and idle."""

    seconds: float
    seconds_in_kernel: float
    reply: Mapping[str, Any]
    messages: tuple[Message, ...]

    def text(self, stream: str = "stdout") -> str:
        return "".join(
            message.content["text"] for message in self.messages if message.kind == "stream" and message.content["name"] == stream
        )

    @property
    def result(self) -> str | None:
        found = [message.content["data"]["text/plain"] for message in self.messages if message.kind == "execute_result"]
        return str(found[-1]) if found else None


class Kernel:
    """Started at once; `ready` waits until it answers and its messages reach us, which the measure of a start must not do."""

    def __init__(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix="llmspell-bench-")
        self._manager = KernelManager(kernel_name=name)
        self.started = time.perf_counter()
        quiet = subprocess.DEVNULL
        self._manager.start_kernel(env=_environment(self._folder.name, environment or {}), stdout=quiet, stderr=quiet)
        # zmq tries a refused connection again only after 100 ms, which would be the resolution of every start
        _wait_for_port(self._manager.shell_port, self._manager)
        self._client = self._manager.client()
        self._client.start_channels()

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        return int(self._manager.provisioner.pid)

    @property
    def cpu_s(self) -> float:
        """What the kernel process used, its children not counted."""
        used = psutil.Process(self.pid).cpu_times()
        return float(used.user + used.system)

    def ready(self) -> Kernel:
        self._client.wait_for_ready(timeout=TIMEOUT_S)
        return self

    def answering(self) -> Kernel:
        """Waits for the first answer only: sooner than `ready`, which also listens until nothing more is published."""
        self.reply_to(self._client.kernel_info())
        return self

    def send(self, code: str) -> str:
        return str(self._client.execute(code, stop_on_error=False, allow_stdin=False))

    def reply_to(self, request: str) -> Mapping[str, Any]:
        while True:
            message = self._client.get_shell_msg(timeout=TIMEOUT_S)
            if message["parent_header"].get("msg_id") == request:
                return dict(message["content"])

    def next_reply(self) -> str:
        """Waits for the next reply, and says which request it answers."""
        return str(self._client.get_shell_msg(timeout=TIMEOUT_S)["parent_header"].get("msg_id"))

    def next_idle(self) -> str:
        """Waits until the kernel is idle again, and says after which request."""
        while True:
            parent, message = self._next_message()
            if message.kind == "status" and message.content["execution_state"] == "idle":
                return parent

    def run(self, code: str) -> Ran:
        """Runs a cell to its end, whatever that is."""
        started = time.perf_counter()
        request = self.send(code)
        messages = self.until_idle(request)
        reply = self.reply_to(request)
        seconds = time.perf_counter() - started
        states = [message for message in messages if message.kind == "status"]
        return Ran(seconds, (states[-1].date - states[0].date).total_seconds(), reply, tuple(messages))

    def must_run(self, code: str) -> Ran:
        """Runs a cell that is not meant to fail."""
        ran = self.run(code)
        if ran.reply["status"] != "ok":
            raise Unmeasurable(f"a cell failed in {self.name}: {ran.reply.get('ename')}: {ran.reply.get('evalue')}")
        return ran

    def interrupt_after(self, code: str, running_s: float) -> tuple[float, Mapping[str, Any]]:
        """Runs a cell that does not end, interrupts it; seconds from the interrupt to its reply, and the reply."""
        request = self.send(code)
        while self._next_message()[1].kind != "execute_input":
            pass
        time.sleep(running_s)
        started = time.perf_counter()
        self._manager.interrupt_kernel()
        reply = self.reply_to(request)
        seconds = time.perf_counter() - started
        self.until_idle(request)
        return seconds, reply

    def until_idle(self, request: str) -> list[Message]:
        messages = []
        while True:
            parent, message = self._next_message()
            if parent != request:
                continue
            messages.append(message)
            if message.kind == "status" and message.content["execution_state"] == "idle":
                return messages

    def _next_message(self) -> tuple[str, Message]:
        """Read below jupyter_client's own method, which does not say how large a message was."""
        socket_ = self._client.iopub_channel.socket
        if not socket_.poll(TIMEOUT_S * 1000):
            raise Unmeasurable(f"{self.name} was silent for {TIMEOUT_S:g} s")
        frames = socket_.recv_multipart()
        arrived = time.perf_counter()
        message = self._client.session.deserialize(self._client.session.feed_identities(frames)[1])
        size = sum(len(frame) for frame in frames)
        parent = str(message["parent_header"].get("msg_id", ""))
        return parent, Message(message["msg_type"], message["content"], message["header"]["date"], size, arrived)


class Memory(NamedTuple):
    """Bytes.  PSS counts a page shared by n processes as 1/n in each."""

    rss: int
    pss: int


def memory_of(pid: int) -> Memory:
    fields = {}
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup.readlines()[1:]:
            name, _, rest = line.partition(":")
            fields[name] = int(rest.split()[0]) * 1024
    return Memory(fields["Rss"], fields["Pss"])


def memory_with_children(pid: int) -> Memory:
    each = [memory_of(process) for process in (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True)))]
    return Memory(sum(memory.rss for memory in each), sum(memory.pss for memory in each))


def _environment(folder: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Ours without what would change a measure: keys, settings of this package, a user's IPython profile, the wish to keep no bytecode.

    Without bytecode, a source tree is compiled at each start while ipykernel, which was installed with its own, is not: some 200 ms.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LLMSPELL_") and not name.endswith("_API_KEY")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "IPYTHONDIR": folder, "LLMSPELL_MODEL": "spell/echo", "LLMSPELL_DISPLAY": "static", **extra}


def _wait_for_port(port: int, manager: KernelManager) -> None:
    deadline = time.perf_counter() + TIMEOUT_S
    while time.perf_counter() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if not manager.is_alive():
            raise Unmeasurable("the kernel ended while it started")
        time.sleep(0.002)
    raise Unmeasurable(f"the kernel did not listen within {TIMEOUT_S:g} s")
