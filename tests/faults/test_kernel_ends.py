"""A kernel that is killed, restarted or told to end takes its workers with it, whatever they were doing."""

from __future__ import annotations

import os
import signal

import psutil  # type: ignore[import-untyped]
import pytest

from ..workers.processes import Watch
from .kernels import KEEP, KEPT, SLACK, Kernel

GONE_S = 1.0 * SLACK
BUSY = {
    "lua": "print(1) while true do pcall(function() while true do end end) end",
    "js": "console.log(1); await sleep(0); for (;;) { try { for (;;) {} } catch (e) {} }",
}


@pytest.fixture
def own_kernel(monkeypatch):
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")
    monkeypatch.setenv("LLMSPELL_DISPLAY", "static")
    started = Kernel()
    yield started
    started.close()


def workers(kernel: Kernel) -> list[Watch]:
    """The kernel's own count, beside what the system says, so that no process goes unseen."""
    known = int(kernel.run("len(llmspell.session.worker_pids)").result or 0)
    pids = [child.pid for child in psutil.Process(kernel.pid).children(recursive=True)]
    assert len(pids) >= known >= 4
    return [Watch(pid) for pid in pids]


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "restart", "shutdown"])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_no_worker_outlives_it_by_a_second(own_kernel, how, busy):
    kernel = own_kernel
    for engine in ("lua", "js"):
        kernel.cell(engine, KEEP[engine])
    watches = workers(kernel)
    if busy:
        request = kernel.begin("lua", BUSY["lua"])
        kernel.wait_until("stream", request)
    match how:
        case "restart":
            kernel.manager.restart_kernel(now=True)
        case "shutdown":
            kernel.manager.shutdown_kernel(now=busy)
        case name:
            os.kill(kernel.pid, getattr(signal, name))
    try:
        assert all(watch.ended_within(GONE_S if how in ("SIGKILL", "restart") else 10) for watch in watches)
    finally:
        for watch in watches:
            watch.close()


def test_after_a_restart_the_states_are_new_and_the_first_cells_work(own_kernel):
    kernel = own_kernel
    for engine in ("lua", "js"):
        kernel.cell(engine, KEEP[engine])
    before = kernel.pid
    kernel.manager.restart_kernel(now=True)
    kernel.channels.wait_for_ready(timeout=60)
    for engine in ("lua", "js"):
        assert kernel.cell(engine, KEPT[engine]).result != "5"
        assert kernel.cell(engine, KEEP[engine]).status == "ok"
        assert kernel.cell(engine, KEPT[engine]).result == "5"
    assert kernel.pid != before
