"""Files are read and written whole: what is written appears at once under its name or not at all, also when the machine stops in the middle."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress

PIECE_BYTES = 1024 * 1024
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


class GivenUp(Exception):
    """Nobody waits for this any more; nothing was changed."""


def read_all(descriptor: int, most_bytes: int) -> bytes:
    """At most `most_bytes` and one more, by which the caller sees that the file is larger."""
    pieces: list[bytes] = []
    room = most_bytes + 1
    while room > 0 and (piece := os.read(descriptor, min(room, PIECE_BYTES))):
        pieces.append(piece)
        room -= len(piece)
    return b"".join(pieces)


def replace(folder: int, name: str, data: bytes, temporary: str, *, old_mode: int | None, given_up: Callable[[], bool]) -> None:
    """Puts a file with that content under a name, in place of what was there; a hard link is replaced, not written through.

    `temporary` is how the name begins under which it is written.  Raises OSError or GivenUp; the old file is then as it was, unless the very
    last step failed, the order to the disk to remember the new name: then it may be either of the two, whole.
    """
    unfinished = f"{temporary}{secrets.token_hex(8)}"
    descriptor = os.open(unfinished, NEW_FILE, 0o666, dir_fd=folder)
    try:
        try:
            if old_mode is not None:
                os.fchmod(descriptor, stat.S_IMODE(old_mode) & 0o777)
            _write_all(descriptor, data, given_up)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if given_up():
            raise GivenUp
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished, dir_fd=folder)
        raise
    os.fsync(folder)


def _write_all(descriptor: int, data: bytes, given_up: Callable[[], bool]) -> None:
    rest = memoryview(data)
    while rest:
        if given_up():
            raise GivenUp
        rest = rest[os.write(descriptor, rest[:PIECE_BYTES]) :]
