"""Gives up every capability: a notebook in a container often runs as root, and a root that keeps them may raise its own limits.

The user stays the same, so the host can still end the worker.  `no_new_privs`, set at the worker's start, keeps them from coming back.
"""

from __future__ import annotations

import ctypes
import sys

from .unavailable import Unavailable

LINUX_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def apply() -> None:
    if sys.platform != "linux":
        raise Unavailable("only Linux has capabilities to give up")
    libc = ctypes.CDLL(None, use_errno=True)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(ctypes.byref(_Header(LINUX_CAPABILITY_VERSION_3, 0)), nothing) != 0:
        raise Unavailable(f"the kernel refused to drop capabilities (errno {ctypes.get_errno()})")
