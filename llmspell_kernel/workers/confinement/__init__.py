"""What the operating system takes from a worker: called by child.py once every engine is loaded, before a script runs.

Rules
- The host says by name which layers it wants (policy.layers decides); nothing here knows a preset.
- A layer that is not there is reported with its reason, never passed over: the host decides whether to go on without.
- Nothing can be taken back.  What an engine needs of files, modules and time zones it has read when it is made.

A layer is a module with `apply() -> None`, which raises Unavailable, and a line in LAYERS.  They are applied in that order: the filter of system
calls comes last, because it denies what the others need.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from . import landlock, privileges, seccomp
from .unavailable import Unavailable

LAYERS: Mapping[str, Callable[[], None]] = {
    "privileges": privileges.apply,
    "landlock": landlock.apply,
    "seccomp": seccomp.deny_what_harms,
    "seccomp_strict": seccomp.allow_what_is_needed,
}


def apply_layers(wanted: Collection[str]) -> dict[str, str]:
    """Each wanted layer, "" for one that holds now, or why it does not."""
    report = dict.fromkeys(wanted, "this version does not know it")
    for name, apply in LAYERS.items():
        if name in report:
            try:
                apply()
                report[name] = ""
            except Unavailable as error:
                report[name] = str(error)
    return report
