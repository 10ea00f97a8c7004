"""What each layer of confinement takes away, tried from inside a live worker as code that has broken out of an engine would."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from llmspell_kernel.errors import ConfigError, WorkerLost
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.protocol.output import Output
from llmspell_kernel.protocol.steps import Failed, Finished
from llmspell_kernel.workers import probe
from llmspell_kernel.workers.confinement import LAYERS
from llmspell_kernel.workers.pool import WorkerPool

from .processes import ACTING, REAL, pool_of, worker_of

ENGINES = Path(__file__).parent / "engines"
STANDARD = ("privileges", "landlock", "seccomp")
STRICT = ("privileges", "landlock", "seccomp_strict")
ALONE = [(name,) for name in LAYERS]
DENIED = {"EPERM", "EACCES", "can't start new thread"}


class Probe(NamedTuple):
    """`unconfined` is what comes of it without any layer: a probe that fails there for its own reasons would show nothing."""

    code: str
    alone: tuple[str, ...]
    """The layers that deny it without the help of another."""
    unconfined: str = "done"


BY_FILTER = ("seccomp", "seccomp_strict")
BY_EACH = ("landlock", *BY_FILTER)
PROBES = {
    "reads a file": Probe("os.open('FOLDER/there', os.O_RDONLY)", BY_EACH),
    "reads the host's environment": Probe("os.open(f'/proc/{os.getppid()}/environ', os.O_RDONLY)", BY_EACH),
    "reads its own environment": Probe("os.open('/proc/self/environ', os.O_RDONLY)", BY_EACH),
    "makes a file": Probe("os.open('FOLDER/made', os.O_CREAT | os.O_WRONLY)", BY_EACH),
    "lists a folder": Probe("os.listdir('/')", BY_EACH),
    "makes a folder": Probe("os.mkdir('FOLDER/made-folder')", BY_EACH),
    "removes a file": Probe("os.unlink('FOLDER/removed')", BY_EACH),
    "links a file": Probe("os.link('FOLDER/there', 'FOLDER/linked')", BY_EACH),
    "makes a symbolic link": Probe("os.symlink('/etc', 'FOLDER/symbolic')", BY_EACH),
    "renames a file": Probe("os.rename('FOLDER/renamed', 'FOLDER/else')", BY_EACH),
    "makes a named pipe": Probe("os.mkfifo('FOLDER/pipe')", BY_EACH),
    "reads the host's command line": Probe("os.open(f'/proc/{os.getppid()}/cmdline', os.O_RDONLY)", BY_EACH),
    "lists the host's open files": Probe("os.listdir(f'/proc/{os.getppid()}/fd')", BY_EACH),
    "cuts a file": Probe("os.truncate('FOLDER/there', 0)", BY_FILTER),
    "watches for changes of files": Probe("call('inotify_init1', 0)", BY_FILTER),
    "looks whether a file is there": Probe("os.stat('FOLDER/there')", BY_FILTER),
    "looks whether a file is there, by lstat": Probe("os.lstat('FOLDER/there')", BY_FILTER),
    "follows a link": Probe("os.readlink('/proc/self/exe')", BY_FILTER),
    "changes who may use a file": Probe("os.chmod('FOLDER/there', 0o600)", BY_FILTER),
    "changes a file's times": Probe("os.utime('FOLDER/there')", BY_FILTER),
    "changes its folder": Probe("os.chdir('/')", BY_FILTER),
    "makes a file in memory": Probe("os.memfd_create('x')", BY_FILTER),
    "makes a socket": Probe("socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0)", BY_FILTER),
    "connects": Probe("socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0).connect(('127.0.0.1', PORT))", BY_EACH),
    "makes a socket for datagrams": Probe("socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)", BY_FILTER),
    "makes a socket on this machine": Probe("socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0)", BY_FILTER),
    "makes a pair of sockets": Probe("socket.socketpair()", BY_FILTER),
    "asks for the machine's networks": Probe("call('ioctl', 0, 0x8912, 0)", BY_FILTER, "ENOTTY"),
    "forks": Probe("pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)", BY_FILTER),
    "runs a program": Probe("os.execv('/not/there', ['x'])", BY_FILTER, "ENOENT"),
    "starts a thread": Probe("thread.start_new_thread(int, ())", BY_FILTER),
    "signals the host": Probe("os.kill(os.getppid(), 0)", BY_EACH),
    "sends the host a signal": Probe("os.kill(os.getppid(), 18)", BY_EACH),
    "has another send a signal to the host": Probe("call('fcntl', 0, 8, os.getppid())", BY_FILTER),
    "reads the host's memory": Probe(
        "local = ctypes.create_string_buffer(1); part = (ctypes.c_size_t * 2)(ctypes.addressof(local), 1); there = (ctypes.c_size_t * 2)(0, 1)\n"
        "call('process_vm_readv', os.getppid(), part, 1, there, 1, 0)",
        BY_EACH,
        "EFAULT",
    ),
    "traces": Probe("call('ptrace', 3, 0, 0, 0)", BY_FILTER, "ESRCH"),
    "looks for shared memory": Probe("call('shmget', 0x7f3a91, 1, 0)", BY_FILTER, "ENOENT"),
    "outlives the host": Probe("call('prctl', 1, 9, 0, 0, 0)", BY_FILTER),
    "gives itself a lower limit": Probe("call('setrlimit', 4, (ctypes.c_long * 2)(0, 0))", BY_FILTER),
    "gives another process a limit": Probe("resource.prlimit(os.getppid(), resource.RLIMIT_CORE)", BY_FILTER),
    "becomes another user": Probe("os.setuid(os.getuid())", BY_FILTER),
}
OF_ROOT = {
    "changes its groups": Probe("os.setgroups([])", ("privileges", *BY_FILTER)),
    "gives a file away": Probe("os.chown('FOLDER/there', 1, 1)", ("privileges", *BY_FILTER)),
}
"""What only root can do without confinement."""
HARMLESS = {
    "signals itself": "os.kill(os.getpid(), 0)",
    "reads its limits": "resource.getrlimit(resource.RLIMIT_STACK)",
    "reads the clock": "time.time(); time.sleep(0)",
    "takes memory": "bytearray(50_000_000)",
    "draws random bytes": "os.urandom(16)",
}


def lacking(layers: Sequence[str]) -> str:
    report = asyncio.run(probe(layers=layers)).layers
    return ", ".join(f"{name}: {why}" for name, why in report.items() if why)


@pytest.fixture(scope="module", autouse=True)
def kernel_has_every_layer() -> None:
    for layers in ALONE:
        if missing := lacking(layers):
            pytest.skip(f"this machine cannot confine a worker ({missing})")


async def results(layers: Sequence[str], folder: Path, port: int) -> dict[str, str]:
    """What comes of every probe, all in one worker: the process of each test would cost more than the probe."""
    found: dict[str, str] = {}
    probes = {**PROBES, **OF_ROOT, **{name: Probe(code, ()) for name, code in HARMLESS.items()}}
    async with worker_of(ACTING, "acting", layers=layers) as (worker, printed):
        assert dict(worker.layers) == dict.fromkeys(layers, "")
        for name, each in probes.items():
            printed.clear()
            await worker.begin(1, "python " + each.code.replace("FOLDER", str(folder)).replace("PORT", str(port)), "cell[1]")
            found[name] = said(printed)
    return found


def said(printed: list[Output]) -> str:
    return "".join(output.text for output in printed)


Results = dict[tuple[str, ...], dict[str, str]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    collected: Results = {}
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as server:
        patch.syspath_prepend(ENGINES)
        for layers in ((), STANDARD, STRICT, *ALONE):
            folder = tmp_path_factory.mktemp("outside")
            (folder / "there").touch()
            (folder / "removed").touch()
            (folder / "renamed").touch()
            collected[layers] = asyncio.run(results(layers, folder, server.getsockname()[1]))
    yield collected


@pytest.mark.parametrize("layers", [STANDARD, STRICT], ids=["standard", "strict"])
@pytest.mark.parametrize("name", PROBES | OF_ROOT)
def test_a_confined_worker_cannot(name: str, layers: tuple[str, ...], found: Results) -> None:
    assert found[layers][name] in DENIED


@pytest.mark.parametrize("name", PROBES)
def test_without_confinement_a_worker_can(name: str, found: Results) -> None:
    if name == "reads the host's memory" and found[()][name] == "EPERM":
        pytest.skip("this machine lets no process read another's memory (Yama, or a container)")
    assert found[()][name] == PROBES[name].unconfined


@pytest.mark.parametrize("name", OF_ROOT)
def test_without_confinement_a_worker_of_root_can(name: str, found: Results) -> None:
    if os.getuid() != 0:
        pytest.skip("not root")
    assert found[()][name] == "done"


@pytest.mark.parametrize(("name", "layer"), [(name, layer) for name, each in (PROBES | OF_ROOT).items() for layer in each.alone])
def test_one_layer_is_enough_that_a_worker_cannot(name: str, layer: str, found: Results) -> None:
    assert found[(layer,)][name] in DENIED


@pytest.mark.parametrize("layers", [STANDARD, STRICT], ids=["standard", "strict"])
@pytest.mark.parametrize("name", HARMLESS)
def test_a_confined_worker_still(name: str, layers: tuple[str, ...], found: Results) -> None:
    assert found[layers][name] == "done"


@pytest.mark.parametrize("layers", [STANDARD, STRICT], ids=["standard", "strict"])
def test_system_calls_that_came_later_do_not_exist_for_a_worker(layers: tuple[str, ...]) -> None:
    async def play() -> None:
        async with worker_of(ACTING, "acting", layers=layers) as (worker, printed):
            for number in (425, 435, 437, 10_000):  # io_uring_setup, clone3, openat2, and one that nobody has made yet
                await worker.begin(1, f"python call('syscall', {number}, 0, 0, 0, 0)", "cell[1]")
            assert said(printed) == "ENOSYS" * 4

    asyncio.run(play())


def test_strict_denies_also_what_no_list_names() -> None:
    async def play(layers: tuple[str, ...]) -> str:
        async with worker_of(ACTING, "acting", layers=layers) as (worker, printed):
            await worker.begin(1, "python os.sched_getscheduler(0)", "cell[1]")
            return said(printed)

    assert asyncio.run(play(STANDARD)) == "done"
    assert asyncio.run(play(STRICT)) == "EPERM"


def test_an_abort_in_a_confined_worker_keeps_its_name() -> None:
    async def play() -> None:
        async with worker_of(ACTING, "acting", layers=STRICT) as (worker, _):
            with pytest.raises(WorkerLost, match="SIGABRT"):
                await worker.begin(1, "python os.abort()", "cell[1]")

    asyncio.run(play())


def test_local_time_is_the_machines_in_a_confined_worker() -> None:
    async def play() -> None:
        async with worker_of(ACTING, "acting", layers=STRICT) as (worker, printed):
            await worker.begin(1, "python time.tzset(); say(' '.join(time.tzname) + ' ')", "cell[1]")
            assert said(printed) == f"{' '.join(time.tzname)} done"

    asyncio.run(play())


SCRIPTS = {
    "lua": "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(i) end print(#table.concat(t)) return pcall(error, 'e')",
    "javascript": "console.log([...'abc'].join(), new URL('http://a.b/c').host, structuredClone({a: 1}).a); const f = new Date().getHours(); f",
}


@pytest.mark.parametrize("layers", [STANDARD, STRICT], ids=["standard", "strict"])
@pytest.mark.parametrize("engine", SCRIPTS)
def test_the_engines_work_in_a_confined_worker_and_can_be_stopped(engine: str, layers: tuple[str, ...]) -> None:
    endless = "while true do end" if engine == "lua" else "while (true) {}"

    async def play() -> None:
        async with worker_of(REAL, engine, layers=layers) as (worker, printed), asyncio.timeout(10):
            for state in range(2, 40):  # each JavaScript state makes callbacks of its own, which need executable memory
                await worker.open(state, engine, b"{}", b'{"state":%d}' % state)
            step = await worker.begin(1, SCRIPTS[engine], "cell[1]")
            assert isinstance(step, Finished), step
            assert printed
            running = asyncio.ensure_future(worker.begin(39, endless, "cell[2]"))
            await asyncio.sleep(0)
            worker.stop(39)
            assert isinstance(await running, Failed)
            assert isinstance(await worker.begin(39, "return 1" if engine == "lua" else "1", "cell[3]"), Finished)

    asyncio.run(play())


def test_a_layer_that_is_not_there_is_named_and_where_it_is_required_no_worker_is_given() -> None:
    async def play() -> None:
        async with pool_of(REAL, layers=("no_such_layer",)) as pool:
            assert list((await pool.take(keep_spare=False)).layers) == ["no_such_layer"]
            pool.confine(("privileges", "no_such_layer"), required=True)
            with pytest.raises(ConfigError, match="no_such_layer") as caught:
                await pool.take()
            assert "privileges" not in caught.value.message

    asyncio.run(play())


def test_a_spare_that_was_started_for_other_layers_is_not_given() -> None:
    async def play() -> None:
        async with pool_of(REAL, layers=()) as pool:
            pool.warm()
            pool.confine(STRICT, required=True)
            assert (await pool.take(keep_spare=False)).layers == dict.fromkeys(STRICT, "")
            assert len(pool.pids) == 1

    asyncio.run(play())


def test_a_worker_grows_no_further_than_its_states_may() -> None:
    async def play() -> list[str]:
        async with worker_of(ACTING, "acting") as (worker, _):
            await worker.begin(1, "python bytearray(300_000_000)", "cell[1]")
            worker.close_state(1)
            seen = []
            for state in (2, 3):
                await worker.open(state, "acting", b"{}", b'{"state":%d}' % state, data_bytes=200_000_000)
                step = await worker.begin(state, "python bytearray(300_000_000)", "cell[1]")
                seen.append(step.fault.code if isinstance(step, Failed) else "done")
            worker.close_state(3)
            step = await worker.begin(2, "python bytearray(300_000_000)", "cell[2]")
            return [*seen, step.fault.code if isinstance(step, Failed) else "done"]

    assert asyncio.run(play()) == ["limit", "done", "limit"]


def test_a_shared_worker_with_other_layers_gets_no_new_state_and_keeps_those_it_has() -> None:
    async def play() -> None:
        pool = WorkerPool(REAL, policy=WorkerPolicy(states_per_worker=2), startup_s=10, layers=())
        try:
            first = await pool.take(keep_spare=False)
            await first.open(1, "lua", b"{}", b'{"state":1}')
            pool.confine(STANDARD, required=False)
            second = await pool.take(keep_spare=False)
            assert (tuple(first.layers), tuple(second.layers)) == ((), STANDARD)
            assert isinstance(await first.begin(1, "return 1", "cell[1]"), Finished)
        finally:
            pool.close()

    asyncio.run(play())
