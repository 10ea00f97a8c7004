"""A lock that two kernels on one folder share: held by a descriptor, so that it goes with the process that dies."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from llmspell_kernel.errors import BridgeError

_TAKEN = {errno.EAGAIN, errno.EACCES}
_PAUSE_S = 0.005
"""Between two tries: flock cannot wait with a limit, and a holder that was stopped must not stop us for ever."""


@contextmanager
def held(descriptor: int, what: str, wait_s: float) -> Iterator[None]:
    """Raises BridgeError (code `busy`, retryable) where another process holds it all the time.

    Some network file systems have no such locks; there, each kernel's own order is all there is.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    deadline = time.monotonic() + wait_s
    locked = False
    while not locked:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        except OSError as error:
            if error.errno not in _TAKEN:
                break
            if time.monotonic() > deadline:
                raise BridgeError(
                    f"{what}: another process has been writing for {wait_s:g} s; try again", code="busy", retryable=True
                ) from error
            time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        if locked:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
