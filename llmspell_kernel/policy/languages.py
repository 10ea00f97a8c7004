"""What presets leave out of the languages, by engine.  What no script ever has (files, processes, bytecode) is no engine's to give at all."""

from __future__ import annotations

from collections.abc import Mapping

NO_CODE_FROM_TEXT: Mapping[str, tuple[str, ...]] = {
    "lua": ("load",),
    "javascript": ("eval", "Function"),
}
"""A script runs what its reader sees, nothing that it is told at run time.  `Function` stands for the constructors of all kinds of functions."""
