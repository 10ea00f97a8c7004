"""Closes the host's own memory and environment (keys, other notebooks) to every process of its user: what strict asks for.

Debuggers cannot attach to it any more either, nor does it leave a core.  The programs it starts are not concerned: exec opens them again.
"""

from __future__ import annotations

import sys

from ..errors import ConfigError

PR_SET_DUMPABLE = 4


def shield_host() -> None:
    """For the rest of this process's life.  Raises ConfigError where that cannot be had."""
    import ctypes  # 3 ms that every kernel's first cell would pay for what only strict asks

    if sys.platform != "linux" or ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise ConfigError("the preset strict closes the kernel's own memory to other processes, which this system cannot do", key="preset")
