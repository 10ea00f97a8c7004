"""Files that are whole at every moment: read up to a size, replaced at once, private to their user (mode 0600)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..errors import LoadError
from .checked_lines import MAX_BYTES

MODE = 0o600


def read_capped(file: Path, missing: str) -> bytes:
    """At most one byte more than may be.  Raises LoadError; `missing` is what it says where there is no such file."""
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise LoadError(missing, file=str(file)) from None
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror or error}", file=str(file)) from None


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
