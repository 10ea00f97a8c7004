"""A real worker process: its start, its ways to end, and what the host is told of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec
import pytest

from llmspell_kernel.engines._declaration import EngineDeclaration
from llmspell_kernel.errors import ConfigError, LocalProtocolError, ScriptError, WorkerLost
from llmspell_kernel.protocol.steps import Failed, Finished, Step
from llmspell_kernel.protocol.transitions import Phase
from llmspell_kernel.workers.spawn import WorkerProcess, package_folders

from .processes import ACTING, REAL, Watch, exists, pool_of, worker_of


def values_of(step: Step) -> bytes:
    assert isinstance(step, Finished)
    return bytes(step.values)


def lost_by(command: str) -> WorkerLost:
    """Runs one command in an acting worker, which must be lost by it, and its process gone."""

    async def play() -> WorkerLost:
        async with worker_of(ACTING, "acting") as (worker, _), asyncio.timeout(10):
            with pytest.raises(WorkerLost) as caught:
                await worker.begin(1, command, "cell[1]")
            assert not worker.alive
            assert not exists(worker.pid)
            with pytest.raises(WorkerLost) as again:
                await worker.begin(1, "nothing", "cell[2]")
            assert again.value is caught.value
            worker.stop(1)
            worker.lose("again")
            worker.close()
            return caught.value

    return asyncio.run(play())


def test_a_worker_is_ready_in_time_and_says_what_its_engines_are() -> None:
    async def play() -> None:
        async with pool_of(REAL) as pool:
            started = time.monotonic()
            worker = await pool.take(keep_spare=False)
            assert time.monotonic() - started < 2
            assert set(worker.engines) == {engine.name for engine in REAL}
            assert all("language_version" in facts for facts in worker.engines.values())

    asyncio.run(play())


def test_a_worker_that_never_gets_ready_is_killed_in_time_and_the_error_says_so() -> None:
    async def play() -> None:
        async with pool_of([EngineDeclaration("silent", "Silent", "silent_engine")], startup_s=0.3) as pool:
            started = time.monotonic()
            with pytest.raises(WorkerLost, match=r"did not start within 0\.3 s \(signal SIGKILL\)"):
                await pool.take()
            assert time.monotonic() - started < 2
            assert pool.pids == []

    asyncio.run(play())


def test_a_worker_that_ends_at_once_is_told_with_its_exit_status_and_last_words() -> None:
    async def play() -> None:
        async with pool_of([EngineDeclaration("dying", "Dying", "dying_engine")]) as pool:
            with pytest.raises(WorkerLost, match=r"exit status 7.*no engine here today") as caught:
                await pool.take()
            assert caught.value.reason == "exit status 7"

    asyncio.run(play())


BROKEN = [
    (EngineDeclaration("missing", "Missing", "acting_engine.nowhere"), "ModuleNotFoundError"),
    (EngineDeclaration("absent", "Absent", "no_such_package_here.engine"), "No module named 'no_such_package_here'"),
    (EngineDeclaration("raising", "Raising", "raising_engine"), "the self-test did not pass"),
    (EngineDeclaration("leaving", "Leaving", "leaving_engine"), "SystemExit"),
    (EngineDeclaration("factless", "Factless", "factless_engine"), "ValidationError"),
]


@pytest.mark.parametrize(("broken", "why"), BROKEN, ids=lambda item: getattr(item, "name", ""))
def test_an_engine_that_cannot_be_loaded_is_named_and_the_others_work(broken: EngineDeclaration, why: str) -> None:
    async def play() -> None:
        async with pool_of([broken, *ACTING]) as pool:
            worker = await pool.take(keep_spare=False)
            assert set(worker.engines) == {"acting"}
            with pytest.raises(ConfigError, match=f"the engine '{broken.name}' cannot run here: .*{why}"):
                await worker.open(1, broken.name, b"{}", b'{"state":1}')
            await worker.open(2, "acting", b"{}", b'{"state":2}')
            assert await worker.begin(2, "nothing", "cell[1]") == Finished()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("exit 0", "exit status 0"),
        ("exit 5", "exit status 5"),
        (f"signal {signal.SIGKILL}", "signal SIGKILL"),
        (f"signal {signal.SIGSEGV}", "signal SIGSEGV"),
        (f"signal {signal.SIGABRT}", "signal SIGABRT"),
        (f"signal {signal.SIGRTMIN + 5}", f"signal {signal.SIGRTMIN + 5}"),
    ],
)
def test_a_worker_that_ends_is_lost_with_its_reason(command: str, reason: str) -> None:
    lost = lost_by(command)
    assert lost.reason == reason
    assert lost.message.startswith(f"it ended ({reason})")


def test_a_worker_that_closed_its_socket_and_lives_on_is_killed_at_once() -> None:
    started = time.monotonic()
    assert lost_by("close_control").reason == "signal SIGKILL"
    assert time.monotonic() - started < 0.9


def test_a_worker_that_floods_the_output_while_no_cell_runs_is_lost() -> None:
    async def play() -> None:
        async with worker_of(ACTING, "acting", layers=()) as (worker, _), asyncio.timeout(10):
            lost = asyncio.Event()
            worker.on_lost[1] = lost.set
            await worker.begin(1, "flood_from_a_thread", "cell[1]")
            await lost.wait()
            assert worker.lost is not None
            assert "while no cell ran" in worker.lost.message

    asyncio.run(play())


def test_a_question_after_a_stop_is_answered() -> None:
    async def play() -> None:
        async with worker_of(REAL, "javascript") as (worker, _), asyncio.timeout(10):
            await worker.begin(1, "globalThis.big = Array.from({length: 200000}, (_, i) => i); 0", "cell[1]")
            worker.stop(1)
            assert len(msgspec.json.decode(await worker.query(1, "get", "big"))) == 200_000

    asyncio.run(play())


def test_a_process_that_cannot_be_started_is_one_clear_error_and_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_process(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    package_folders(ACTING)  # what it imports is imported
    monkeypatch.setattr(subprocess, "Popen", no_process)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(WorkerLost, match="no worker process could be started.*Resource temporarily"):
            WorkerProcess(ACTING)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_start_that_is_interrupted_leaves_neither_process_nor_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    package_folders(ACTING)
    watches: list[Watch] = []
    start = subprocess.Popen

    def interrupted(*args: object, **kwargs: object) -> None:
        process = start(*args, **kwargs)  # type: ignore[call-overload]
        watches.append(Watch(process.pid))
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyboardInterrupt):
        WorkerProcess(ACTING)
    monkeypatch.undo()
    (watch,) = watches
    assert watch.ended_within(5)
    watch.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_last_words_of_a_crash_are_told() -> None:
    assert lost_by("last_words Fatal Python error: oh no\n").message.endswith("its last words: Fatal Python error: oh no")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("control ffffffff", "over the limit"),
        ("control 0000000378787800", "not a message of the protocol"),
        ("control 000000047b7d207b", "not a message of the protocol"),
        ("step_twice", "not legal while a state is idle"),
        ("other_state", "unknown state 999"),
        ("same_effect_twice", "effect 1 does not count up"),
        ("malformed_output", "malformed output record"),
    ],
)
def test_garbage_of_a_worker_loses_it_with_the_rule_it_broke(command: str, why: str) -> None:
    async def play() -> None:
        async with worker_of(ACTING, "acting") as (worker, _), asyncio.timeout(10):
            with pytest.raises(WorkerLost, match=f"it broke the protocol: .*{why}"):
                await worker.begin(1, command, "cell[1]")
                await worker.begin(1, "hang", "cell[2]")  # where the breach comes just after a step
            assert not exists(worker.pid)

    asyncio.run(play())


def test_a_worker_killed_from_outside_is_told_to_the_one_who_waits() -> None:
    async def play() -> None:
        async with worker_of(REAL, "lua") as (worker, _), asyncio.timeout(10):
            asyncio.get_running_loop().call_later(0.05, os.kill, worker.pid, signal.SIGKILL)
            with pytest.raises(WorkerLost, match="SIGKILL") as caught:
                await worker.begin(1, "while true do end", "cell[1]")
            assert caught.value.reason == "signal SIGKILL"

    asyncio.run(play())


def test_a_state_that_cannot_open_is_refused_and_the_worker_lives() -> None:
    async def play() -> None:
        async with pool_of(ACTING) as pool:
            worker = await pool.take(keep_spare=False)
            with pytest.raises(ScriptError, match="cannot open a acting state: ValueError: no such state today"):
                await worker.open(1, "acting", b'{"refuse":1}', b'{"state":1}')
            assert worker.phase(1) is Phase.ABSENT
            await worker.open(1, "acting", b"{}", b'{"state":1}')
            assert await worker.begin(1, "nothing", "cell[1]") == Finished()

    asyncio.run(play())


def test_an_engine_that_raises_fails_the_cell_and_the_worker_lives() -> None:
    async def play() -> None:
        async with worker_of(ACTING, "acting") as (worker, _):
            step = await worker.begin(1, "no_such_command", "cell[1]")
            assert isinstance(step, Failed)
            assert step.fault.code == "internal"
            assert await worker.begin(1, "nothing", "cell[2]") == Finished()

    asyncio.run(play())


def test_a_step_asked_at_the_wrong_time_is_our_error_and_the_worker_lives() -> None:
    async def play() -> None:
        async with worker_of(ACTING, "acting") as (worker, _):
            with pytest.raises(LocalProtocolError):
                await worker.resume(1, [], [])
            with pytest.raises(LocalProtocolError):
                await worker.begin(2, "nothing", "cell[1]")
            assert await worker.begin(1, "nothing", "cell[2]") == Finished()

    asyncio.run(play())


def test_what_is_printed_is_there_before_the_step_that_follows() -> None:
    async def play() -> None:
        async with worker_of(ACTING, "acting") as (worker, printed):
            for number in range(200):
                await worker.begin(1, f"say a{number} b{number}", "cell[1]")
                assert [record.text for record in printed] == [f"a{number}", f"b{number}"]
                printed.clear()

    asyncio.run(play())


def test_a_worker_that_prints_for_ever_after_its_step_does_not_hold_the_host() -> None:
    async def play() -> None:
        async with worker_of(ACTING, "acting", layers=()) as (worker, _), asyncio.timeout(10):
            await worker.begin(1, "flood_from_a_thread", "cell[1]")
            for _ in range(20):
                assert await worker.begin(1, "nothing", "cell[2]") == Finished()

    asyncio.run(play())


def test_a_closed_state_is_gone_and_the_worker_lives() -> None:
    async def play() -> None:
        async with worker_of(REAL, "lua") as (worker, _):
            worker.close_state(1)
            assert worker.phase(1) is Phase.ABSENT
            await worker.open(2, "lua", b"{}", b'{"state":2}')
            assert values_of(await worker.begin(2, "return 1", "cell[1]")) == b"[1]"

    asyncio.run(play())


def test_a_large_message_goes_through_in_both_directions() -> None:
    async def play() -> None:
        async with worker_of(REAL, "lua") as (worker, _):
            text = "x" * 3_000_000
            await worker.query(1, "set", "big", b'"' + text.encode() + b'"')
            step = await worker.begin(1, "return #big, big", "cell[1]")
            assert isinstance(step, Finished)
            assert bytes(step.values) == f'[3000000,"{text}"]'.encode()

    asyncio.run(play())


HOST = """
import asyncio
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.workers.pool import WorkerPool

async def main():
    pool = WorkerPool(policy=WorkerPolicy(), startup_s=10)
    worker = await pool.take()
    await worker.open(1, "lua", b"{}", b'{"state":1}')
    print(*pool.pids, flush=True)
    await worker.begin(1, "while true do end", "cell[1]")

asyncio.run(main())
"""


def test_workers_die_with_their_host_when_it_is_killed() -> None:
    host = subprocess.Popen([sys.executable, "-c", HOST], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    watches: list[Watch] = []
    try:
        watches = [Watch(int(pid)) for pid in host.stdout.readline().split()]
        assert len(watches) == 2
        host.kill()
        host.wait()
        ended: list[bool] = [watch.ended_within(1.0) for watch in watches]
        assert ended == [True, True]
    finally:
        host.kill()
        host.wait()
        host.stdout.close()
        for watch in watches:
            watch.close()


BUSY: dict[str, str] = {
    "lua": "kept = 5 while true do pcall(function() while true do end end) end",
    "javascript": "var kept = 5; while (true) { try { while (true) {} } catch (e) {} }",
}
KEPT: dict[str, str] = {"lua": "return kept", "javascript": "kept"}


@pytest.mark.parametrize("engine", sorted({engine.name for engine in REAL} & set(BUSY)))
def test_a_soft_stop_ends_a_busy_loop_soon_and_the_state_is_kept(engine: str) -> None:
    async def play() -> None:
        async with worker_of(REAL, engine) as (worker, _), asyncio.timeout(10):
            stopped: list[float] = []
            asyncio.get_running_loop().call_later(0.1, soft_stop(lambda: worker.stop(1), stopped))
            step = await worker.begin(1, BUSY[engine], "cell[1]")
            assert time.monotonic() - stopped[0] < 0.3
            assert isinstance(step, Failed)
            assert step.fault.code == "interrupted"
            assert values_of(await worker.begin(1, KEPT[engine], "cell[2]")) == b"[5]"

    asyncio.run(play())


def soft_stop(stop: Callable[[], None], at: list[float]) -> Callable[[], None]:
    def now() -> None:
        at.append(time.monotonic())
        stop()

    return now
