"""A front end that misbehaves: it speaks to a kernel over bare sockets, pauses, and sends whatever bytes a test wrote down.

with FrontEnd(connection_file) as front_end:
    request = front_end.execute("%%lua\\nreturn 1")
    seen = front_end.until_idle(request, timeout_s=30)
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.session import Session as Wire
from zmq.constants import SocketOption, SocketType
from zmq.sugar.context import Context


class FrontEnd:
    """Nothing is read from IOPub while nobody asks, so that a pause of a test is a pause of the front end; its own queue is short, as a slow
    page's is (`receive_mark` messages), and what the kernel sends meanwhile must wait there or in the kernel."""

    def __init__(self, connection_file: str, receive_mark: int = 10) -> None:
        self._facts = json.loads(Path(connection_file).read_text())
        self._wire = Wire(key=self._facts["key"].encode(), signature_scheme=self._facts["signature_scheme"])
        self._context = Context()
        self.iopub = self._socket(SocketType.SUB, "iopub_port", receive_mark)
        self.iopub.setsockopt(SocketOption.SUBSCRIBE, b"")
        self.shell = self._socket(SocketType.DEALER, "shell_port", 0)
        self.control = self._socket(SocketType.DEALER, "control_port", 0)
        self._await_subscription()

    def __enter__(self) -> FrontEnd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._context.destroy(linger=0)

    def send(self, kind: str, content: Mapping[str, Any], *, on: Any = None) -> str:
        """Any request, on the shell socket or another one; its id."""
        message = self._wire.msg(kind, dict(content))
        self._wire.send(on or self.shell, message)
        return str(message["header"]["msg_id"])

    def execute(self, code: str, *, stop_on_error: bool = True) -> str:
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        return self.send("execute_request", {**content, "stop_on_error": stop_on_error})

    def beat(self, *, timeout_s: float) -> float:
        """Seconds until the kernel's heart answers.  Raises TimeoutError."""
        heart = self._socket(SocketType.REQ, "hb_port", 0)
        try:
            asked = time.monotonic()
            heart.send(b"ping")
            if not heart.poll(timeout_s * 1000):
                raise TimeoutError("the kernel's heart does not beat")
            return time.monotonic() - asked
        finally:
            heart.close(linger=0)

    def send_raw(self, parts: Sequence[bytes], *, on: Any = None) -> None:
        """Bytes as they are: a wrong signature, half a message, no JSON at all."""
        (on or self.shell).send_multipart(list(parts))

    def signed(self, parts: Sequence[bytes]) -> list[bytes]:
        """A message of those four parts (header, parent, metadata, content) with a right signature, whatever is in them."""
        return [b"<IDS|MSG>", self._wire.sign(list(parts)), *parts]

    def reply_to(self, request: str, *, timeout_s: float, on: Any = None) -> dict[str, Any]:
        """The reply to a request; others are dropped.  Raises TimeoutError."""
        return self._first(on or self.shell, request, timeout_s, lambda message: True)

    def replies(self, requests: Sequence[str], *, timeout_s: float) -> dict[str, list[dict[str, Any]]]:
        """All replies to those requests that have come once the last of them has; by request, because each must have exactly one."""
        found: dict[str, list[dict[str, Any]]] = {request: [] for request in requests}
        deadline = time.monotonic() + timeout_s
        while not all(found.values()):
            message = self._next(self.shell, deadline)
            if (parent := message["parent_header"].get("msg_id")) in found:
                found[parent].append(message)
        return found

    def until_idle(self, request: str, *, timeout_s: float) -> list[dict[str, Any]]:
        """Every IOPub message of a request, to the idle that ends it.  Raises TimeoutError."""
        deadline, seen = time.monotonic() + timeout_s, []
        while True:
            message = self._next(self.iopub, deadline)
            if message["parent_header"].get("msg_id") != request:
                continue
            seen.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return seen

    def _first(self, socket: Any, request: str, timeout_s: float, wanted: Any) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while True:
            message = self._next(socket, deadline)
            if message["parent_header"].get("msg_id") == request and wanted(message):
                return message

    def _next(self, socket: Any, deadline: float) -> dict[str, Any]:
        left = deadline - time.monotonic()
        if left <= 0 or not socket.poll(left * 1000):
            raise TimeoutError("the kernel sent nothing more in time")
        _, parts = self._wire.feed_identities(socket.recv_multipart())
        return dict(self._wire.deserialize(parts))

    def _await_subscription(self) -> None:
        """The kernel's socket tells each new subscriber that it is one; older kernels do not, and then the first answer must do."""
        for _ in range(60):
            request = self.send("kernel_info_request", {})
            self.reply_to(request, timeout_s=60)
            if self.iopub.poll(500):
                return
        raise TimeoutError("the kernel's IOPub socket sends nothing")

    def _socket(self, kind: int, port: str, receive_mark: int) -> Any:
        socket = self._context.socket(kind)
        socket.setsockopt(SocketOption.RCVHWM, receive_mark)
        socket.setsockopt(SocketOption.SNDHWM, 0)
        socket.connect(f"{self._facts['transport']}://{self._facts['ip']}:{self._facts[port]}")
        return socket
