"""Cells that wait behind one that fails, is stopped or loses its worker: each has exactly one reply, and one idle."""

from __future__ import annotations

import os
import signal

import pytest

from llmspell_kernel.testing.front_end import FrontEnd

QUEUED = 5
# each takes a moment, so that the cells behind it have come before it fails: one that comes later is not aborted
FAILS = {
    "lua": {"error": "sleep(0.3) error('on purpose')", "limit": "while true do end"},
    "js": {"error": "await sleep(0.3); throw new Error('on purpose')", "limit": "for (;;) {}"},
}
SLEEP = {"lua": "print(1) sleep(30)", "js": "console.log(1); await sleep(30)"}
NEXT = {"lua": "return 1", "js": "1"}


@pytest.fixture
def front_end(kernel):
    with FrontEnd(kernel.manager.connection_file) as connected:
        yield connected


def ends(front_end: FrontEnd, requests: list[str]) -> list[str]:
    """The status of each request's one reply, once each has its one idle too."""
    for request in requests:
        seen = front_end.until_idle(request, timeout_s=30)
        assert sum(message["content"].get("execution_state") == "idle" for message in seen) == 1
    replies = front_end.replies(requests, timeout_s=30)
    assert all(len(found) == 1 for found in replies.values())
    return [replies[request][0]["content"]["status"] for request in requests]


@pytest.mark.parametrize("how", ["error", "limit"])
def test_after_an_error_the_queue_is_aborted(kernel, front_end, engine, how):
    kernel.settings("limits.script_time_s=0.3")
    requests = [front_end.execute(f"%%{engine}\n{FAILS[engine][how]}")]
    requests += [front_end.execute(f"%%{engine}\n{NEXT[engine]}") for _ in range(QUEUED)]
    assert ends(front_end, requests) == ["error"] + ["aborted"] * QUEUED
    kernel.extra()
    kernel.survived()


def test_a_front_end_that_wants_to_go_on_does(kernel, front_end, engine):
    requests = [front_end.execute(f"%%{engine}\n{FAILS[engine]['error']}", stop_on_error=False)]
    requests += [front_end.execute(f"%%{engine}\n{NEXT[engine]}") for _ in range(QUEUED)]
    assert ends(front_end, requests) == ["error"] + ["ok"] * QUEUED
    kernel.extra()
    kernel.survived()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_after_a_stop_or_a_lost_worker_too(kernel, front_end, engine, how):
    kernel.cell(engine, NEXT[engine])
    worker = kernel.worker(engine)
    first = front_end.execute(f"%%{engine}\n{SLEEP[engine]}")
    rest = [front_end.execute(f"%%{engine}\n{NEXT[engine]}") for _ in range(QUEUED)]
    kernel.wait_until("stream", first)
    if how == "stopped":
        kernel.manager.interrupt_kernel()
    else:
        os.kill(worker, signal.SIGKILL)
    assert ends(front_end, [first, *rest]) == ["error"] + ["aborted"] * QUEUED
    kernel.extra()
    kernel.survived()
