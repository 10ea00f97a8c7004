"""A session's journal on disk: appended to while it runs, read by `llmspell trace` and its kin.

Rules
- Lines are whole: they are gathered and written together, at the end of each cell and once there are 64 KiB.  A kernel that is killed loses at most
  what its running cell had gathered; the disk is told to keep it (fsync) only at the end of the session.
- A journal that cannot be written (a full disk, an event that has no written form) stops, and says so once; no cell fails for it.
- The folder holds the newest `MOST_FILES`, and those younger than a day (`YOUNG_S`); it is its user's alone, and says to git that it is not
  to be kept, as journals hold prompts and answers.
- A project may be a stranger's: where `.llmspell` or the folder in it is a link, no journal is kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

from ..own_folder import leave_out_of_git
from .event_text import MAX_FILE_BYTES, ReadEvents, header, line_of, read
from .events import AnyEvent, CellFinished
from .private_folder import private_folder
from .whole_files import read_capped

GATHERED_BYTES = 64 * 1024
MOST_FILES = 50
YOUNG_S = 24 * 3600
ENDING = ".journal.jsonl"
FOLDER = Path(".llmspell") / "journal"
"""Of a notebook's or project's folder."""
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_NUMBERS = count()
"""Several sessions of one process may begin in the same second."""


class EventFile:
    """Made at the first cell's end, so that a session which does nothing leaves nothing.  `failed` is told once why it stopped.

    `start` is the notebook's or project's folder, and the journal lies in its `FOLDER`.  Where `file` is given, it is that one, which is
    replaced, and no other is touched.
    """

    def __init__(self, start: Path, version: str, failed: Callable[[str], None], file: Path | None = None) -> None:
        self._start = start
        self._folder = start / FOLDER
        self._given = file
        self._version = version
        self._failed = failed
        self._descriptor: int | None = None
        self._gathered: list[bytes] = []
        self._bytes = self._written = 0
        self._stopped = False
        self.file: Path | None = None

    def __call__(self, event: AnyEvent) -> None:
        if self._stopped:
            return
        try:
            line = line_of(event)
        except Exception as error:  # a fault of ours, or of a bridge's value; the cell that it happened in goes on
            self._stop(f"no journal is kept any more: {type(event).__name__} cannot be written: {type(error).__name__}: {error}")
            return
        self._gathered.append(line)
        self._bytes += len(line)
        if self._bytes >= GATHERED_BYTES or isinstance(event, CellFinished):
            self.flush()

    def flush(self) -> None:
        if self._stopped or not self._gathered:
            return
        text = b"".join(self._gathered)
        self._gathered, self._bytes = [], 0
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            if self._written + len(text) > MAX_FILE_BYTES:
                self._stop(f"the journal {self.file} is full ({MAX_FILE_BYTES // (1024 * 1024)} MiB); what comes is not kept")
                return
            self._write(self._descriptor, text)
        except OSError as error:
            self._stop(f"no journal is kept any more: {error.strerror or error} ({self._given or self._folder})")

    def close(self) -> None:
        self.flush()
        self._stopped = True
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with suppress(OSError):
                os.fsync(descriptor)
            with suppress(OSError):  # some file systems tell only now of a full disk; what is there is there
                os.close(descriptor)

    def _open(self) -> int:
        started = time.time()
        descriptor = self._made(started) if self._given is None else self._replaced(self._given)
        try:
            self._write(descriptor, header(self._version, started))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _replaced(self, file: Path) -> int:
        self.file = file
        return os.open(file, _APPEND | os.O_TRUNC, 0o600)

    def _made(self, started: float) -> int:
        """A file of its own in the folder, from which the oldest go."""
        stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.localtime(started))
        name = f"{stamp}-{os.getpid()}-{next(_NUMBERS)}{ENDING}"
        self.file = self._folder / name
        with private_folder(self._start, FOLDER.parts) as folder:
            leave_out_of_git(folder)
            _prune(folder, started)
            return os.open(name, _APPEND | os.O_EXCL, 0o600, dir_fd=folder)

    def _write(self, descriptor: int, text: bytes) -> None:
        left = memoryview(text)
        while left:
            left = left[os.write(descriptor, left) :]
        self._written += len(text)

    def _stop(self, why: str) -> None:
        self._stopped = True
        self._gathered = []
        self._failed(why)


def _prune(folder: int, now: float) -> None:
    """Removes the oldest journals; not those that another session may still write."""
    for old in sorted(name for name in os.listdir(folder) if name.endswith(ENDING))[: 1 - MOST_FILES]:
        with suppress(FileNotFoundError, IsADirectoryError):
            if now - os.stat(old, dir_fd=folder, follow_symlinks=False).st_mtime > YOUNG_S:
                os.unlink(old, dir_fd=folder)


def journals_in(folder: Path) -> list[Path]:
    """The journals that sessions left in a folder, oldest first; none where a link leads elsewhere, as no session writes through one."""
    if any((folder / part).is_symlink() for part in (FOLDER.parent, FOLDER)):
        return []
    return sorted((folder / FOLDER).glob(f"*{ENDING}"))


def load_events(file: Path) -> ReadEvents:
    """Raises LoadError for what is no journal, no plain file, or cannot be read."""
    return read(read_capped(file, "there is no such journal", through_links=False), file.name)
