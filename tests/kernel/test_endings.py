"""However a kernel ends, its workers end with it; and two notebooks at once know nothing of each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from ..workers.processes import Watch
from .conftest import Client

LATEST_S = 1.0
"""How long a worker may live on after its kernel."""
HANG = {"lua": "%%lua --state {}\nprint(1) while true do end", "javascript": "%%js --state {}\nconsole.log(1); await sleep(0); for (;;);"}


def worker_pids(kernel: int) -> list[int]:
    """Of the workers and the spare."""
    children = psutil.Process(kernel).children(recursive=True)
    return [child.pid for child in children if "llmspell_kernel.workers.child" in " ".join(child.cmdline())]


@contextmanager
def kernel_with_workers(environment: pytest.MonkeyPatch) -> Iterator[tuple[Client, list[Watch]]]:
    """A kernel with an idle worker, one that waits, and the spare."""
    client, watches = Client("llmspell"), []
    try:
        client.run("%%lua\nn = 1")
        client.run("%%js --state waits\nasync.background(async () => { await sleep(60) })")
        watches = [Watch(pid) for pid in worker_pids(client.pid)]
        assert len(watches) == 3
        yield client, watches
    finally:
        for watch in watches:
            watch.close()
        client.close()


def descriptors(pid: int) -> list[str]:
    """What a process holds open.  One that is starting opens and closes files meanwhile."""
    held = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            held.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return held


def all_ended(watches: list[Watch], seconds: float) -> bool:
    end = time.monotonic() + seconds
    return all(watch.ended_within(max(0.0, end - time.monotonic())) for watch in watches)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_within_a_second_of_a_kernel_that_is_killed_or_told_to_end(environment, number: signal.Signals) -> None:
    with kernel_with_workers(environment) as (client, watches):
        os.kill(client.pid, number)
        assert all_ended(watches, LATEST_S)


@pytest.mark.parametrize("engine", sorted(HANG))
def test_a_worker_in_an_endless_loop_ends_with_its_killed_kernel(environment, engine: str) -> None:
    with kernel_with_workers(environment) as (client, _):
        request = client.send(HANG[engine].format("busy"))
        client.wait_until("stream", request)
        watches = [Watch(pid) for pid in worker_pids(client.pid)]
        os.kill(client.pid, signal.SIGKILL)
        assert all_ended(watches, LATEST_S)
        for watch in watches:
            watch.close()


def request_shutdown(client: Client) -> dict[str, object]:
    client.channels.shutdown()
    while True:
        reply = client.channels.get_control_msg(timeout=30)
        if reply["msg_type"] == "shutdown_reply":
            return dict(reply["content"])


def test_a_shutdown_closes_what_bridges_hold_and_then_ends_the_workers(environment, tmp_path: Path) -> None:
    with kernel_with_workers(environment) as (client, watches):
        added = client.run(
            "from llmspell_kernel import Bridge, method, Context\n"
            "class Held(Bridge):\n"
            "    'Held until the end.'\n"
            "    name = 'held'\n"
            "    @method\n"
            "    async def use(self, ctx: Context) -> None:\n"
            "        'Opens it.'\n"
            "    async def close(self):\n"
            f"        open({str(tmp_path / 'closed')!r}, 'w').close()\n"
            "await llmspell.session.add_bridge(Held)"
        )
        assert added.status == "ok", added.reply
        ran = client.run("%%lua\nheld.use()")
        assert ran.status == "ok", ran.reply
        assert request_shutdown(client)["status"] == "ok"
        assert all_ended(watches, LATEST_S)
        assert (tmp_path / "closed").exists()


def test_a_shutdown_while_python_is_busy_ends_the_workers_all_the_same(environment) -> None:
    with kernel_with_workers(environment) as (client, watches):
        client.run("%llmspell config workers.shutdown_s=0.5")
        request = client.send("print('busy', flush=True)\nimport time; time.sleep(60)")
        client.wait_until("stream", request)
        started = time.monotonic()
        assert request_shutdown(client)["status"] == "ok"
        assert time.monotonic() - started < 3
        assert all_ended(watches, LATEST_S)


@pytest.mark.parametrize("engine", sorted(HANG))
def test_a_shutdown_while_a_script_runs_ends_it(environment, engine: str) -> None:
    with kernel_with_workers(environment) as (client, watches):
        request = client.send(HANG[engine].format("busy"))
        client.wait_until("stream", request)
        assert request_shutdown(client)["status"] == "ok"
        assert all_ended(watches, LATEST_S)


def test_a_restarted_kernel_has_new_workers_and_none_of_the_old(environment) -> None:
    with kernel_with_workers(environment) as (client, watches):
        client.manager.restart_kernel()
        assert all_ended(watches, LATEST_S)
        client.channels.wait_for_ready(timeout=60)
        assert client.run("%%lua\nn").result in (None, "nil")


def test_two_notebooks_at_once_know_nothing_of_each_other(environment) -> None:
    with kernel_with_workers(environment) as (first, watches):
        second = Client("llmspell")
        try:
            for client, value in ((first, 1), (second, 2)):
                client.run(f"%%lua\nmine = {value}")
            first_pids, second_pids = set(worker_pids(first.pid)), set(worker_pids(second.pid))
            assert first_pids & second_pids == set()
            assert [client.run("%%lua\nmine").result for client in (first, second)] == ["1", "2"]
            os.kill(first.pid, signal.SIGKILL)
            assert all_ended(watches, LATEST_S)
            assert second.run("%%lua\nmine").result == "2"
            assert set(worker_pids(second.pid)) == second_pids
        finally:
            second.close()


STARTING = """
import os, socket, sys, time
leak = socket.socketpair()
for end in leak:
    end.set_inheritable(True)
os.set_inheritable(os.open("/etc/hostname", os.O_RDONLY), True)
from llmspell_kernel.engines._declaration import EngineDeclaration
from llmspell_kernel.workers.spawn import WorkerProcess
process = WorkerProcess([EngineDeclaration("silent", "Silent", "silent_engine")])
print(process.pid, flush=True)
time.sleep(60)
"""


def test_a_worker_that_is_still_starting_ends_with_its_host_and_holds_none_of_its_descriptors() -> None:
    folder = Path(__file__).parents[1] / "workers" / "engines"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}
    host = subprocess.Popen([sys.executable, "-c", STARTING], stdout=subprocess.PIPE, text=True, env=environ)
    assert host.stdout is not None
    watch = None
    try:
        pid = int(host.stdout.readline())
        watch = Watch(pid)
        held = descriptors(pid)
        assert "/etc/hostname" in descriptors(host.pid) and "/etc/hostname" not in held
        assert len([name for name in held if name.startswith("socket:")]) <= 1, "the control socket alone"
        host.kill()
        host.wait()
        assert watch.ended_within(LATEST_S)
    finally:
        host.kill()
        host.wait()
        host.stdout.close()
        if watch is not None:
            watch.close()
