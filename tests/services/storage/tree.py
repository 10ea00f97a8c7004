"""A session's folder with everything in it that should not lead out, and canaries outside."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.storage.jail import Jail
from llmspell_kernel.services.storage.opening import Opener, best_opener, by_openat2, by_walk

SECRET = b"the canary sings"
INSIDE = b"inside"
PLAIN = ("plain.txt", "notes/today.txt", "notes/old/first.txt", "two words.txt", "caf\u00e9.txt", "\u0645\u062b\u0627\u0644.txt",
         "\U0001f600.txt", "\U0001f469\u200d\U0001f469\u200d\U0001f466.txt", "-rf", "README", ".dotted", "server.key", "docs.md",
         "strasse.txt", "plain.txts", "secrets/plain.txt")  # fmt: skip
OPENERS: dict[str, Opener] = {"walk": by_walk} | ({"openat2": by_openat2} if best_opener() is by_openat2 else {})


@contextmanager
def quick_folder() -> Iterator[Path]:
    """In memory where the system has such a place: for tests that order a thousand files to the disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() and os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


class Tree:
    """`root` is the scripts' folder; `close` takes the mounts away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outside, self.session = folder / "outside", folder / "session"
        self.root = self.session / "llmspell-files"
        for path in (self.outside / "inner", self.root / "notes" / "old", self.root / "empty", self.root / "secrets"):
            path.mkdir(parents=True)
        self.canary = self.outside / "canary.txt"
        for path in (self.canary, self.outside / "inner" / "canary.txt"):
            path.write_bytes(SECRET)
        (self.session / "llmspell-files_private").mkdir()
        (self.session / "llmspell-files_private" / "secret.txt").write_bytes(SECRET)
        for name in PLAIN:
            (self.root / name).write_bytes(INSIDE)
        (self.root / "large.bin").write_bytes(b"x" * 1001)
        os.truncate(_touched(self.root / "sparse.bin"), 20 * 2**20)
        self._descriptor = os.open(self.canary, os.O_RDONLY)
        self._link()
        self._sockets = [_socket(self.root, "socket")]
        for name in ("pipe", "notes/pipe"):
            os.mkfifo(self.root / name)
        self._mounted: list[Path] = []
        self.has_devices = self._make_devices()
        self.before = self.seen()

    def jail(self, opener: Opener, rules: FilePolicy | None = None) -> Jail:
        policy = rules or FilePolicy()
        return Jail(self.session, lambda: policy, opener=opener)

    def mount(self) -> bool:
        """Puts other folders and a file over ones of the scripts'; False where we may not."""
        for name in ("mounted", "bound"):
            (self.root / name).mkdir()
        _touched(self.root / "bound_file")
        ways = [
            (["-t", "tmpfs", "-o", "size=1m", "canary"], "mounted"),
            (["--bind", str(self.outside)], "bound"),
            (["--bind", str(self.canary)], "bound_file"),
        ]
        for arguments, name in ways:
            made = subprocess.run(["mount", *arguments, str(self.root / name)], capture_output=True, check=False)
            if made.returncode != 0:
                return False
            self._mounted.append(self.root / name)
        (self.root / "mounted" / "canary.txt").write_bytes(SECRET)
        return True

    def seen(self) -> dict[str, tuple[int, int, bytes]]:
        """All that lies outside the scripts' folder: kinds, times and contents.  Links to a canary count too, as they are its names."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if self.root not in (path, *path.parents) and path != self.session:
                status = path.lstat()
                data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
                found[str(path.relative_to(self.folder))] = status.st_mode, status.st_mtime_ns, data
        return found

    def close(self) -> None:
        for path in reversed(self._mounted):
            subprocess.run(["umount", "--lazy", str(path)], check=True)
        os.close(self._descriptor)
        for opened in self._sockets:
            opened.close()

    def _link(self) -> None:
        descriptor = f"/proc/{os.getpid()}/fd/{self._descriptor}"
        links = {
            "link_absolute": self.canary, "link_relative": "../../outside/canary.txt", "link_within": "plain.txt",
            "link_dangling": self.outside / "new.txt", "link_loop": "link_loop", "link_twice": "link_absolute",
            "link_folder": self.outside, "link_folder_relative": "../../outside", "link_notes": "notes",
            "notes/link_up": "../../..", "link_root": "/", "link_here": ".", "link_proc_root": "/proc/self/root",
            "link_proc_cwd": "/proc/self/cwd", "link_descriptor": descriptor, "link_descriptors": "/proc/self/fd", "link_proc": "/proc",
        }  # fmt: skip
        for name, target in links.items():
            (self.root / name).symlink_to(target)
        for name in ("hard", "notes/hard"):
            os.link(self.canary, self.root / name)
        os.link(_touched(self.root / "secrets" / "linked"), self.root / "hard_within")

    def _make_devices(self) -> bool:
        kinds = {
            "zero": (stat.S_IFCHR, 1, 5),
            "memory": (stat.S_IFCHR, 1, 1),
            "block": (stat.S_IFBLK, 7, 0),
            "terminal": (stat.S_IFCHR, 5, 0),
        }
        with suppress(PermissionError):
            for name, (kind, major, minor) in kinds.items():
                os.mknod(self.root / name, kind | 0o600, os.makedev(major, minor))
            return True
        return False


def _touched(path: Path) -> Path:
    path.touch()
    return path


def _socket(folder: Path, name: str) -> socket.socket:
    """A path of a socket is short, so it is made from within its folder's descriptor."""
    made = socket.socket(socket.AF_UNIX)
    here = os.open(folder, os.O_RDONLY)
    made.bind(f"/proc/self/fd/{here}/{name}")
    os.close(here)
    return made


def with_tree(folder: Path) -> Iterator[Tree]:
    tree = Tree(folder)
    yield tree
    tree.close()


Call = Callable[[Jail, str], object]
CALLS: dict[str, Call] = {
    "read": lambda jail, path: jail.read(path),
    "info": lambda jail, path: jail.info(path),
    "exists": lambda jail, path: jail.exists(path),
    "list": lambda jail, path: jail.list(path),
    "append": lambda jail, path: jail.write(path, b"+", append=True),
    "write": lambda jail, path: jail.write(path, b"written"),
    "remove": lambda jail, path: jail.remove(path),
}
