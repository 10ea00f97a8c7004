"""Starting and ending a worker process.  No event loop here: a spare can be started before one runs.

The child gets a fresh environment in exec (removing a variable later would leave it in /proc/self/environ), one control socket, one shared
page, an output pipe and an own stderr pipe (with RLIMIT_FSIZE=0 a regular file there would kill it at its first warning).
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from ..engines._declaration import EngineDeclaration
from ..errors import ConfigError, WorkerLost
from ..installation import package_folder
from .stop_page import PAGE_BYTES, STOP_VARIABLE, TARGET_AT, TARGET_BYTES

COMMON = ("llmspell_kernel", "msgspec")
"""What every worker imports, whatever its engines."""
BOOT = (
    "import sys; sys.path[:0] = sys.argv[6:]; "
    "from llmspell_kernel.workers.child import main; main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:5], int(sys.argv[5]))"
)
SAFE_LAYERS = ("privileges", "landlock", "seccomp")
"""Who says nothing of layers gets a worker that is confined as far as the machine can (policy.layers says what sessions ask for)."""


def package_folders(engines: Iterable[EngineDeclaration]) -> list[str]:
    """Where the child finds its packages: `-S` skips .pth files, so user sites, splits and editable installs are looked up here.

    What an engine needs and is not installed has no folder.
    """
    modules = [*COMMON, *(module for engine in engines for module in (*engine.needed, engine.interpreter.partition(".")[0]))]
    folders = {name: package_folder(name) for name in modules}
    for name in COMMON:
        if folders[name] is None:
            raise ConfigError(f"the package '{name}' is not installed, and scripts cannot run without it; run: pip install llmspell-kernel")
    return list(dict.fromkeys(filter(None, folders.values())))


class WorkerProcess:
    """A started child and the host's ends of its channels.  `close` is safe to call at any time, and again.

    An engine whose packages are not installed is left to the child too: it says that it cannot import them, and the others work.
    """

    def __init__(self, engines: Iterable[EngineDeclaration], layers: Sequence[str] = SAFE_LAYERS) -> None:
        engines = tuple(engines)
        self.layers = tuple(layers)
        self._bare_data_bytes: int | None = None
        folders = package_folders(engines)
        try:
            with ExitStack() as ours:
                self._start({engine.name: engine.interpreter for engine in engines}, folders, ours)
                ours.pop_all()  # from here on `close` ends them
        except OSError as error:
            raise WorkerLost(
                f"no worker process could be started: {error}; the machine may be out of memory, processes or open files",
                reason="not started",
            ) from error
        self._closed = False

    def _start(self, interpreters: dict[str, str], folders: list[str], ours: ExitStack) -> None:
        """Opens every channel and starts the child.  `ours` closes the host's ends where something fails, the child's ends go in any case."""
        with ExitStack() as theirs:
            self.control, control_in = socket.socketpair()
            ours.callback(self.control.close)
            theirs.callback(control_in.close)
            self.output, output_in = _pipe(ours, theirs)
            self.errors, errors_in = _pipe(ours, theirs)
            page_descriptor = os.memfd_create("llmspell-stop", os.MFD_ALLOW_SEALING)
            theirs.callback(os.close, page_descriptor)
            os.truncate(page_descriptor, PAGE_BYTES)
            # a worker that shrank the page would have the host killed (SIGBUS) when it next writes there
            fcntl.fcntl(page_descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self._page = mmap.mmap(page_descriptor, PAGE_BYTES)
            ours.callback(self._page.close)
            text = f"{STOP_VARIABLE}=0\0".encode()
            self._page[: len(text)] = text
            self.control.setblocking(False)
            os.set_blocking(self.output, False)
            os.set_blocking(self.errors, False)
            facts = [str(control_in.fileno()), str(page_descriptor), json.dumps(interpreters), json.dumps(self.layers), str(os.getpid())]
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", BOOT, *facts, *folders],
                stdin=subprocess.DEVNULL,
                stdout=output_in,
                stderr=errors_in,
                env={"LC_ALL": "C.UTF-8"},
                cwd="/",
                pass_fds=(control_in.fileno(), page_descriptor),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def raise_stop(self, state: int) -> None:
        self._page[TARGET_AT : TARGET_AT + TARGET_BYTES] = state.to_bytes(TARGET_BYTES, "little")
        self._page[len(STOP_VARIABLE) + 1] = 0x31

    def clear_stop(self) -> None:
        self._page[len(STOP_VARIABLE) + 1] = 0x30

    def limit_data(self, growth_bytes: int | None) -> None:
        """How far the process may grow beyond what it had when the first state was opened; None for as far as it likes.

        RLIMIT_DATA, set from here because a worker may not set limits.  An engine counts its own memory; this holds what no engine counts: values
        on their way in (16 MB of empty lists took 1.2 GB), the parser, a library's own buffers.
        """
        # it is a backstop: the engines' own limits hold without it.  A process that is gone is noticed by its next message, and where this
        # process may open no more files, the state is as safe as on a system without /proc
        with suppress(OSError):
            if self._bare_data_bytes is None:
                pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[5])
                self._bare_data_bytes = pages * resource.getpagesize()
            limit = resource.RLIM_INFINITY if growth_bytes is None else self._bare_data_bytes + growth_bytes
            resource.prlimit(self.pid, resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))

    def kill(self) -> None:
        self._process.kill()

    def has_ended(self) -> bool:
        """Is the process gone, though its socket may not have told yet?"""
        return self._process.poll() is not None

    def exit_reason(self) -> str:
        """Ends the process, and names its end: `signal SIGKILL`, `exit status 1`.

        One that is already on its way out keeps its own reason: a kill does not change the status of a process that began to exit.
        Without the kill, one that closed its socket and lives on would hold the host here.
        """
        self._process.kill()
        code = self._process.wait()
        return _signal_name(-code) if code < 0 else f"exit status {code}"

    def output_waiting(self) -> int:
        """Bytes in the output pipe."""
        return int.from_bytes(fcntl.ioctl(self.output, termios.FIONREAD, bytes(4)), sys.byteorder)

    def crash_text(self) -> str:
        """The last of what the process wrote to its stderr."""
        try:
            return os.read(self.errors, 65536).decode("utf-8", "replace")[-4000:]
        except (BlockingIOError, OSError):
            return ""

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._process.kill()
        self._process.wait()
        self.control.close()
        os.close(self.output)
        os.close(self.errors)
        self._page.close()


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    reading, writing = os.pipe()
    ours.callback(os.close, reading)
    theirs.callback(os.close, writing)
    return reading, writing


def _signal_name(number: int) -> str:
    try:
        return f"signal {signal.Signals(number).name}"
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"
