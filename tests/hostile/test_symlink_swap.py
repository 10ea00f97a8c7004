"""A process beside us puts links in place of a folder and a file of the scripts, and takes them away, while a jail reads and writes there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from llmspell_kernel.errors import DeniedError, SpellError
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.storage.jail import Jail
from llmspell_kernel.services.storage.opening import Opener, best_opener, by_openat2, by_walk

SECRET = b"the canary sings"
ROUNDS = 1_500
MOST_ROUNDS = 60_000
"""Until calls have met both a folder and a link."""
SWAPPER = """
import ctypes, os, sys
root = os.open(sys.argv[1], os.O_RDONLY)
renameat2 = ctypes.CDLL(None).renameat2
print("begun", flush=True)
while True:
    for name in (b"folder", b"file"):
        renameat2(root, name, root, b"link_to_" + name, 2)  # RENAME_EXCHANGE: both names are there all the time
"""


@contextmanager
def swapping(root: Path) -> Iterator[None]:
    swapper = subprocess.Popen([sys.executable, "-I", "-c", SWAPPER, str(root)], stdout=subprocess.PIPE)
    try:
        assert swapper.stdout is not None
        if swapper.stdout.readline() != b"begun\n":
            pytest.skip("this system cannot exchange two names")
        yield
        assert swapper.poll() is None, "it stopped swapping"
    finally:
        swapper.kill()
        swapper.communicate()


@pytest.fixture
def root() -> Iterator[Path]:
    """In memory where the system has such a place: some thousand writes are ordered to the disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() and os.access(memory, os.W_OK) else None) as folder:
        yield prepared(Path(folder))


def prepared(tmp_path: Path) -> Path:
    outside, root = tmp_path / "outside", tmp_path / "llmspell-files"
    for folder in (outside, root / "folder"):
        folder.mkdir(parents=True)
    (outside / "file").write_bytes(SECRET)
    (outside / "only-outside").write_bytes(SECRET)
    (root / "folder" / "file").write_bytes(b"inside")
    (root / "file").write_bytes(b"inside")
    (root / "link_to_folder").symlink_to(outside)
    (root / "link_to_file").symlink_to(outside / "file")
    return root


def outside_of(root: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (root.parent / "outside").iterdir()}


def ends_of(calls: dict[str, object], ends: Counter[str]) -> None:
    for name, call in calls.items():
        try:
            found = call()  # type: ignore[operator]
        except DeniedError:
            ends[f"{name} denied"] += 1
        except SpellError as error:
            ends[f"{name} {error.code}"] += 1
        else:
            ends[f"{name} done"] += 1
            assert SECRET not in repr(found).encode() and "only-outside" not in repr(found), name


@pytest.mark.parametrize("opener", [by_openat2, by_walk], ids=["openat2", "walk"])
def test_a_folder_that_becomes_a_link_at_any_moment_leads_nowhere(root: Path, opener: Opener) -> None:
    if opener is by_openat2 and best_opener() is not by_openat2:
        pytest.skip("this kernel has no openat2, or forbids it")
    before, jail, ends = outside_of(root), Jail(root.parent, FilePolicy, opener=opener), Counter[str]()
    looking = {
        "read": lambda: jail.read("folder/file"),
        "read a file": lambda: jail.read("file"),
        "list": lambda: jail.list("folder"),
        "info": lambda: jail.info("folder/only-outside"),
        "read what only the other has": lambda: jail.read("folder/only-outside"),
    }
    changing = {
        "write": lambda: jail.write("folder/file", b"inside"),
        "write a new one": lambda: jail.write("folder/new/file", b"inside"),
        "append": lambda: jail.write("folder/longer", b"+", append=True),
        "remove what only the other has": lambda: jail.remove("folder/only-outside"),
    }
    wanted = {f"{name} {end}" for name in ("read", "read a file", "list") for end in ("done", "denied")} | {"write done", "write denied"}
    with swapping(root):
        for number in range(MOST_ROUNDS):
            ends_of(looking, ends)
            if number % 10 == 0:
                ends_of(changing, ends)
            if number >= ROUNDS and wanted <= ends.keys():
                break
        for _ in range(ROUNDS // 10):  # last, because a write that meets the link just before its end puts a file in its place
            ends_of({"write a file": lambda: jail.write("file", b"inside")}, ends)
    jail.close()
    assert wanted <= ends.keys(), f"the race was never met: {ends}"
    assert outside_of(root) == before
