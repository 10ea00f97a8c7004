"""Opens what lies below a folder, by its parts, so that no link, mount or race leads out of it.

Rules
- The object that was opened is what counts: nothing here looks at a path first and opens it afterwards.
- No part is ever a link: neither a symbolic one, nor one of those that /proc makes.
- Nothing on another file system or behind another mount is opened, a bind mount of the same file system included.
- Nothing waits: a FIFO or a device is opened without blocking, and refused by whoever looks at the descriptor.
- Where the kernel has openat2 (Linux 5.6), it walks and keeps these rules in one call; elsewhere each part is opened from the one before.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

Opener = Callable[[int, Sequence[str], int], int]
"""`open(folder, parts, flags)` gives a descriptor, or raises OSError: ELOOP for a link, EXDEV for what lies elsewhere."""

IN_JAIL = os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
READ_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
READ_FILE = os.O_RDONLY

OPENAT2 = {"x86_64": 437, "aarch64": 437}
"""Its number among the system calls."""
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 0x01, 0x02, 0x04, 0x08
RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
AGAIN = 32
"""How often openat2 is asked again where the kernel could not tell whether a rename had led out."""


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def by_openat2(folder: int, parts: Sequence[str], flags: int) -> int:
    """One system call for the whole way."""
    path = os.fsencode("/".join(parts) or ".")
    how = _OpenHow((flags | IN_JAIL) & ~os.O_NOFOLLOW, 0, RESOLVE)  # with it, a link at the end would be told as "not a folder"
    for _ in range(AGAIN):
        opened: int = _system_call(OPENAT2[platform.machine()], folder, path, ctypes.byref(how), ctypes.sizeof(how))
        if opened >= 0:
            return opened
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def by_walk(folder: int, parts: Sequence[str], flags: int) -> int:
    """Part by part, each from the descriptor of the one before."""
    device, mount = os.fstat(folder).st_dev, _mount_of(folder)
    here = os.dup(folder) if parts else os.open(".", flags | IN_JAIL, dir_fd=folder)
    try:
        for position, part in enumerate(parts, 1):
            here, last = step(here, part, flags if position == len(parts) else READ_FOLDER), here
            os.close(last)
            if os.fstat(here).st_dev != device or _mount_of(here) != mount:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    except BaseException:
        os.close(here)
        raise
    return here


@functools.cache
def best_opener() -> Opener:
    """openat2 where this machine has it and lets us use it, which older containers do not."""
    if sys.platform == "linux" and platform.machine() in OPENAT2:
        with suppress(OSError):
            here = os.open("/", READ_FOLDER | os.O_CLOEXEC)
            try:
                os.close(by_openat2(here, (), READ_FOLDER))
                return by_openat2
            finally:
                os.close(here)
    return by_walk


def is_possible() -> bool:
    """Has this system what a jail needs?  Windows has not."""
    return os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")


def step(folder: int, part: str, flags: int) -> int:
    """One part of a way, whatever it is mounted on."""
    try:
        return os.open(part, flags | IN_JAIL, dir_fd=folder)
    except OSError as error:
        # a link in place of a folder is told as ENOTDIR here and as ELOOP by openat2
        if error.errno == errno.ENOTDIR and stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
        raise


def _mount_of(descriptor: int) -> str:
    """The mount's number where the system tells it, else ""; the number of the device is compared beside it."""
    try:
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
    except OSError:
        return ""
    return next((line for line in told.splitlines() if line.startswith("mnt_id:")), "")


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _system_call(number: int, *arguments: object) -> int:
    found: int = _library().syscall(ctypes.c_long(number), *arguments)
    return found
