"""Files that are whole at every moment: plain ones, read up to a size, replaced at once, private to their user (mode 0600)."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import LoadError
from .checked_lines import MAX_BYTES

MODE = 0o600


def read_capped(file: Path, missing: str, *, through_links: bool = True) -> bytes:
    """A plain file, at most one byte more than may be.  Raises LoadError; `missing` is what it says where there is no such file.

    `through_links` is False for files that nobody names: those of a stranger's folder may be links to their reader's other files.
    """
    try:
        with open(file, "rb", opener=_of_anything if through_links else _of_no_link) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise LoadError("is no plain file, and nothing else is read", file=str(file))
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise LoadError(missing, file=str(file)) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LoadError("is a link, and only a plain file is read: name the one that it leads to", file=str(file)) from None
        raise LoadError(f"cannot be read: {error.strerror or error}", file=str(file)) from None


def _of_anything(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # the opening of a pipe would else wait for ever


def _of_no_link(path: str, flags: int) -> int:
    return _of_anything(path, flags | os.O_NOFOLLOW)


def replace_file(file: Path, text: bytes) -> int:
    """Puts a new file in place of the old one, on the disk when this returns; a descriptor to append to it.  Raises OSError."""
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        write_whole(descriptor, text)
        os.fsync(descriptor)
        new.replace(file)
        _sync_folder(file.parent)
    except BaseException:
        os.close(descriptor)
        new.unlink(missing_ok=True)
        raise
    return descriptor


def write_whole(descriptor: int, text: bytes) -> None:
    """Appends all of it or raises OSError: where the disk is full in the middle, what was written of it is taken back."""
    written = os.write(descriptor, text)
    if written < len(text):
        _write_rest(descriptor, text, written)


def _write_rest(descriptor: int, text: bytes, written: int) -> None:
    start = os.fstat(descriptor).st_size - written
    try:
        while written < len(text):
            written += os.write(descriptor, memoryview(text)[written:])
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, start)
        raise


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some file systems cannot; the file itself is there
            os.fsync(folder)
    finally:
        os.close(folder)
