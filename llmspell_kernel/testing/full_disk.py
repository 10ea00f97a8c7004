"""A disk that is full, without one: within it, no file of this process can grow beyond a size.

with full_disk(after_bytes=4096):
    ...                       # a write beyond it raises OSError with EFBIG, which a program must take as it takes ENOSPC
"""

from __future__ import annotations

import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def full_disk(after_bytes: int = 0) -> Iterator[None]:
    """RLIMIT_FSIZE for all of this process, in every thread; pipes and sockets are no files and go on.

    The signal that the system sends beside the error would end the process, so it is ignored; outside the main thread, where no handler can
    be set, it must be ignored already.
    """
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN) if in_main else None
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        if in_main:
            signal.signal(signal.SIGXFSZ, handler)
