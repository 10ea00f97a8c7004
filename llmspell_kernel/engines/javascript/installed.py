"""Is the right one of two packages installed?  Asked on the host, from package metadata alone."""

from __future__ import annotations

from ...installation import version_of

MEND = "pip uninstall -y quickjs && pip install --force-reinstall quickjs-ng"


def problem() -> str | None:
    """Why JavaScript cannot be trusted to work here, with the command that mends it, or None.

    `quickjs` (archived in 2026, an engine of 2021) and `quickjs-ng` both install a module named `quickjs`, so whichever came last has
    overwritten files of the other: with both present, neither can be relied on.
    """
    ours = version_of("quickjs-ng")
    if version_of("quickjs") is not None:
        beside = "instead of" if ours is None else "beside"
        return (
            f"the archived package 'quickjs' is installed {beside} 'quickjs-ng'; both own the module 'quickjs', so JavaScript cannot "
            f"be trusted. Mend it with: {MEND}"
        )
    if ours is None:
        return "the package 'quickjs-ng' is not installed, so JavaScript cannot run. Mend it with: pip install quickjs-ng"
    return None
