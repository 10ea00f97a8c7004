"""Why a layer cannot be had, and the one way to make a system call that Python has no function for."""

from __future__ import annotations

import ctypes
import os


class Unavailable(Exception):
    """Says why this machine does not have a layer."""


def system_call(number: int, *arguments: object) -> int:
    """The result; raises OSError where the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result: int = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(item) if isinstance(item, int) else item for item in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
