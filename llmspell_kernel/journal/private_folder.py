"""A folder of ours below a project's, opened so that no link in the project leads out of it.

A project may be a stranger's, with `.llmspell` or the folder in it a link to elsewhere: nothing is written, made or deleted through one, and
what is done in the folder is done by its descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..own_folder import keep_out_of_git

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PRIVATE = 0o700


@contextmanager
def private_folder(start: Path, parts: Sequence[str]) -> Iterator[int]:
    """The descriptor of the folder `parts` below `start`, made where it is not there, and its user's alone.

    Raises OSError; ELOOP where a part is a link.  `start` is the user's own, and may be reached by links.
    """
    start.mkdir(parents=True, exist_ok=True)
    here = os.open(start, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            inner = _inner(here, part)
            os.close(here)
            here = inner
        with suppress(OSError):  # another user's folder, which lets us write all the same
            os.fchmod(here, PRIVATE)
        yield here
    finally:
        os.close(here)


def _inner(folder: int, part: str) -> int:
    is_made = False
    with suppress(FileExistsError):
        os.mkdir(part, 0o777, dir_fd=folder)
        is_made = True
    try:
        inner = os.open(part, _FOLDER, dir_fd=folder)
    except OSError as error:
        # a link in place of a folder is told as ENOTDIR
        if stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, f"{part} is a link, and nothing is written through one") from error
        raise
    if is_made:
        keep_out_of_git(part, inner)
    return inner
