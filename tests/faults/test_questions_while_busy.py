"""Completion, help and "is it complete?" are answered at once while a cell runs, and never run any code of the script."""

from __future__ import annotations

import time

import pytest

from llmspell_kernel.testing.front_end import FrontEnd

from .kernels import SLACK

ANSWER_S = 0.1 * SLACK
BUSY = {
    "lua": {"loop": "print(1) while true do end", "sleep": "print(1) sleep(30)"},
    "js": {"loop": "console.log(1); await sleep(0); for (;;) {}", "sleep": "console.log(1); await sleep(30)"},
}


def questions(engine: str) -> dict[str, dict[str, object]]:
    code = f"%%{engine}\nllm.ch"
    return {
        "complete": {"code": code, "cursor_pos": len(code)},
        "inspect": {"code": code, "cursor_pos": len(code), "detail_level": 0},
        "is_complete": {"code": f"%%{engine}\nx = 1"},
        "kernel_info": {},
        "comm_info": {},
    }


@pytest.mark.parametrize("what", ["loop", "sleep"])
def test_each_is_answered_in_time(kernel, engine, what):
    with FrontEnd(kernel.manager.connection_file) as front_end:
        request = front_end.execute(f"%%{engine}\n{BUSY[engine][what]}")
        kernel.wait_until("stream", request)
        late = {}
        for kind, content in questions(engine).items():
            asked = time.perf_counter()
            asking = front_end.send(f"{kind}_request", content)
            reply = front_end.reply_to(asking, timeout_s=10)
            late[kind] = time.perf_counter() - asked
            assert reply["content"]["status"] in ("ok", "complete", "incomplete", "unknown", "invalid")
        assert max(late.values()) < ANSWER_S, late
        kernel.manager.interrupt_kernel()
        assert front_end.reply_to(request, timeout_s=10)["content"]["ename"] == "KeyboardInterrupt"
    kernel.extra()
    kernel.survived()


def test_none_of_them_runs_code(kernel, engine):
    code = f"%%{engine}\nran = 1"
    for kind, content in {**questions(engine), "is_complete": {"code": code}, "complete": {"code": code, "cursor_pos": len(code)}}.items():
        with FrontEnd(kernel.manager.connection_file) as front_end:
            front_end.reply_to(front_end.send(f"{kind}_request", content), timeout_s=10)
    assert kernel.cell(engine, {"lua": "return ran == nil", "js": "globalThis.ran === undefined"}[engine]).result == "true"
