"""Opens folders of ours from the user's own folder on: the scripts' folder, and the one of the keys.

A folder may come from a stranger, with links in it that lead elsewhere; so no part of the way is followed through one.  A mount is the user's
own doing, and taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.own_folder import keep_out_of_git

from . import opening


def open_below(start: Path, parts: Sequence[str], *, mode: int | None) -> int:
    """The folder's descriptor; with a `mode` what is missing of it is made.  Raises OSError, ELOOP or ENOTDIR for a link."""
    here = os.open(start, opening.READ_FOLDER | os.O_CLOEXEC)
    try:
        for part in parts:
            here, last = _inner(here, part, mode), here
            os.close(last)
    except BaseException:
        os.close(here)
        raise
    return here


def open_root(folder: Path, root: str, *, make: bool) -> int:
    """The scripts' folder: below the session's folder, or where the user's absolute path leads.  Raises OSError and ConfigError."""
    path = Path(root).expanduser()
    if path.is_absolute():
        if make:
            path.mkdir(parents=True, exist_ok=True)
        return os.open(path, opening.READ_FOLDER | os.O_CLOEXEC)
    if not root or ".." in path.parts:
        raise ConfigError(f"'{root}' must be a path down from the notebook's folder, without '..', or an absolute one", key="files.root")
    return open_below(folder, path.parts, mode=0o777 if make else None)


@contextmanager
def closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _inner(folder: int, part: str, mode: int | None) -> int:
    try:
        return opening.step(folder, part, opening.READ_FOLDER)
    except FileNotFoundError:
        if mode is None:
            raise
    try:
        os.mkdir(part, mode, dir_fd=folder)
        os.fsync(folder)
    except FileExistsError:  # made by another kernel since
        return opening.step(folder, part, opening.READ_FOLDER)
    inner = opening.step(folder, part, opening.READ_FOLDER)
    keep_out_of_git(part, inner)
    return inner
