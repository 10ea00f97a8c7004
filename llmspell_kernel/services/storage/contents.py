"""How much lies below a folder, against the quotas of the policy.

It is counted by walking over all of it, and again after RECOUNT_S, because the user and other kernels write there too; in between, what this
kernel writes is added.  So a quota is exact for one kernel, and late by RECOUNT_S for what others write.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from . import opening
from .folders import closing

if TYPE_CHECKING:
    from llmspell_kernel.policy.files import FilePolicy

RECOUNT_S = 2.0
ABANDONED_S = 3600.0
"""A file still being written after so long belongs to a process that died."""
MOST_LEVELS = 100


class Contents:
    """What is known of it; only whoever changes the folder may ask."""

    def __init__(self) -> None:
        self._counted_at = float("-inf")
        self.entries = 0
        self.total_bytes = 0

    def check(self, root: int, rules: FilePolicy, *, entries: int, size_bytes: int) -> None:
        """Is there room for so many more files and folders, and bytes?  Raises LimitError."""
        if time.monotonic() - self._counted_at > RECOUNT_S:
            self._count(root, rules)
        if entries and self.entries + entries > rules.max_files:
            raise rules.exceeded("max_files", self.entries + entries, "the scripts' folder would hold too many files and folders")
        if size_bytes > 0 and self.total_bytes + size_bytes > rules.max_total_bytes:
            raise rules.exceeded("max_total_bytes", self.total_bytes + size_bytes, "the scripts' folder would grow too large")

    def changed(self, *, entries: int, size_bytes: int) -> None:
        self.entries += entries
        self.total_bytes += size_bytes

    def forget(self) -> None:
        """Something failed halfway: count again."""
        self._counted_at = float("-inf")

    def _count(self, root: int, rules: FilePolicy) -> None:
        self.entries = self.total_bytes = 0
        with closing(os.open(".", opening.READ_FOLDER | opening.IN_JAIL, dir_fd=root)) as folder:  # a descriptor's place is not shared
            for status in _below(folder, rules.temporary, MOST_LEVELS):
                self.entries += 1
                if stat.S_ISREG(status.st_mode):
                    self.total_bytes += status.st_size
                if self.entries > rules.max_files:
                    break  # full as it is; the rest need not be known
        self._counted_at = time.monotonic()


def _below(folder: int, temporary: str, levels: int) -> Iterator[os.stat_result]:
    """Of everything below a folder; links are counted and not followed, and what a dead process left half written is removed."""
    with os.scandir(folder) as found:
        for entry in found:
            with suppress(FileNotFoundError):  # gone since
                status = entry.stat(follow_symlinks=False)
                if entry.name.startswith(temporary) and stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > ABANDONED_S:
                    os.unlink(entry.name, dir_fd=folder)
                    continue
                yield status
                if stat.S_ISDIR(status.st_mode) and levels > 0:
                    yield from _inside(folder, entry.name, temporary, levels - 1)


def _inside(folder: int, name: str, temporary: str, levels: int) -> Iterator[os.stat_result]:
    try:
        inner = os.open(name, opening.READ_FOLDER | opening.IN_JAIL, dir_fd=folder)
    except OSError:
        return  # closed to this user, or another thing by now: nothing that scripts fill
    with closing(inner):
        yield from _below(inner, temporary, levels)
