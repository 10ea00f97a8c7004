"""Landlock with no rule at all: no file below any path, no TCP port, no signal and no abstract socket to the world outside.

What is open already stays open, and Landlock (Linux 5.13, kernel documentation userspace-api/landlock) does not see `stat`, `chmod` and the
like: those are seccomp's.  Each version of its interface (ABI) knows more rights; all that the kernel knows are taken.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from .unavailable import Unavailable, system_call

CREATE_RULESET, RESTRICT_SELF = 444, 446
"""The same on every architecture."""
ASK_VERSION = 1
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""From which ABI on there are how many rights of files, counted from bit 0."""
ALL_NETWORK_RIGHTS = ALL_SCOPES = 0b11


class _Rules(ctypes.Structure):
    """A kernel takes as much of it as it knows: 8 bytes, 16 from ABI 4 on, 24 from ABI 6 on."""

    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64)]


def apply() -> None:
    if sys.platform != "linux":
        raise Unavailable("only Linux has Landlock")
    version = _version()
    rights = max(count for since, count in FILE_RIGHTS.items() if version >= since)
    rules = _Rules((1 << rights) - 1, ALL_NETWORK_RIGHTS if version >= 4 else 0, ALL_SCOPES if version >= 6 else 0)
    known_bytes = 24 if version >= 6 else 16 if version >= 4 else 8
    try:
        ruleset = system_call(CREATE_RULESET, ctypes.byref(rules), known_bytes, 0)
        try:
            system_call(RESTRICT_SELF, ruleset, 0)
        finally:
            os.close(ruleset)
    except OSError as error:
        raise Unavailable(f"the kernel refused it: {error.strerror}") from error


def _version() -> int:
    try:
        return system_call(CREATE_RULESET, None, 0, ASK_VERSION)
    except OSError as error:
        reasons = {
            errno.ENOSYS: "this kernel has no Landlock (it came with Linux 5.13)",
            errno.EOPNOTSUPP: "this kernel has Landlock, but it is not switched on (boot parameter lsm=landlock,...)",
            errno.EPERM: "the container forbids it",
        }
        raise Unavailable(reasons.get(error.errno or 0, f"the kernel refused it: {error.strerror}")) from error
