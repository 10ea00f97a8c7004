"""A real kernel in its own process, and a client that returns everything a cell published."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

LANGUAGES = {
    "lua": {
        "magic": "%%lua",
        "count": "n = (n or 0) + 1\nreturn n",
        "loop": "print(1) while true do pcall(function() while true do end end) end",
        "sleep": "print(1) sleep(30)",
        "stream": 'llm.chat("one two three four", {max_tokens = 20})',
        "print": 'for i = 1, {n} do print("line " .. i) end',
        "rows": "rows[1].a + #rows",
        "give": "out = {{1, 2}, {3}}",
        "fail": 'x = 1\nerror("on purpose")',
        "bar": 'local bar = ui.progress(9, {label = "L"}) for i = 1, 9 do bar:advance() end bar:close()',
    },
    "javascript": {
        "magic": "%%js",
        "count": "globalThis.n = (globalThis.n ?? 0) + 1",
        "loop": "console.log(1); await sleep(0); for (;;) { try { for (;;) {} } catch (e) {} finally {} }",
        "sleep": "console.log(1); await sleep(30)",
        "stream": 'await llm.chat("one two three four", {maxTokens: 20})',
        "print": 'for (let i = 1; i <= {n}; i++) console.log("line " + i)',
        "rows": "rows[0].a + rows.length",
        "give": "var out = [[1, 2], [3]]",
        "fail": 'let x = 1\nthrow new Error("on purpose")',
        "bar": 'const bar = await ui.progress(9, {label: "L"}); for (let i = 0; i < 9; i++) await bar.advance(); await bar.close()',
    },
}


@dataclass
class Ran:
    """Everything one execute request gave."""

    reply: dict[str, Any]
    messages: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def status(self) -> str:
        return str(self.reply["status"])

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    def stream(self, name: str) -> str:
        return "".join(content["text"] for content in self.of("stream") if content["name"] == name)

    @property
    def result(self) -> str | None:
        found = self.of("execute_result")
        return str(found[-1]["data"]["text/plain"]) if found else None

    @property
    def error(self) -> dict[str, Any]:
        (found,) = self.of("error")
        return found


class Client:
    """Runs cells and waits for both the reply and the idle that end them."""

    def __init__(self, name: str) -> None:
        self.manager, self.channels = start_new_kernel(kernel_name=name, startup_timeout=60)

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)

    def send(self, code: str) -> str:
        return str(self.channels.execute(code, stop_on_error=False))

    def wait(self, request: str, timeout: float = 30) -> Ran:
        started, messages = time.perf_counter(), []
        while True:
            message = self.channels.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "status":
                if message["content"]["execution_state"] == "idle":
                    break
            elif message["msg_type"] != "execute_input":
                messages.append(message)
        while True:
            reply = self.channels.get_shell_msg(timeout=timeout)
            if reply["parent_header"].get("msg_id") == request:
                return Ran(reply["content"], messages, time.perf_counter() - started)

    def run(self, code: str, timeout: float = 30) -> Ran:
        return self.wait(self.send(code), timeout)

    def complete(self, code: str) -> list[str]:
        request = self.channels.complete(code, len(code))
        while True:
            reply = self.channels.get_shell_msg(timeout=30)
            if reply["parent_header"].get("msg_id") == request:
                return list(reply["content"]["matches"])

    def wait_for(self, kind: str, timeout: float = 30) -> dict[str, Any]:
        """The next message of a kind, whatever it belongs to."""
        while True:
            message = self.channels.get_iopub_msg(timeout=timeout)
            if message["msg_type"] == kind:
                return dict(message["content"])

    def wait_until(self, kind: str, request: str) -> None:
        """Reads messages up to the first of a kind that belongs to a request."""
        while True:
            message = self.channels.get_iopub_msg(timeout=30)
            if message["msg_type"] == kind and message["parent_header"].get("msg_id") == request:
                return

    def close(self) -> None:
        self.channels.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def environment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMSPELL_MODEL", "spell/echo")
        patch.setenv("LLMSPELL_DISPLAY", "static")
        yield patch


@pytest.fixture(scope="module", params=["llmspell", "python3"])
def client(request, environment):
    """The plain kernel, and a stock ipykernel with the extension loaded."""
    started = Client(request.param)
    if request.param == "python3":
        assert started.run("%load_ext llmspell_kernel").status == "ok"
    yield started
    started.close()


@pytest.fixture(scope="module")
def own_client(environment):
    """Our own kernel only: a stock ipykernel gives no reply to a cell that is interrupted before it begins."""
    started = Client("llmspell")
    yield started
    started.close()


@pytest.fixture(params=sorted(LANGUAGES))
def language(request):
    return LANGUAGES[request.param]
