"""One folder, one engine: interpreter.py, prelude, stdlib scripts.  `_engine.py` is the interface; `_registry.py` finds engines.

Runs in the worker only (the host reads just the registry's declarations); imports protocol, values and errors.
To add one: a folder here with a `declaration`, or a package with an entry point in the group `llmspell.engines` that names one; the
conformance suite runs on it at once.  The names below are what such a package imports, beside `llmspell_kernel.protocol.steps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._declaration import EngineDeclaration
    from ._engine import Emit, Engine, Options, State, StopFlag
    from ._registry import EngineRegistry, discover

__all__ = ["Emit", "Engine", "EngineDeclaration", "EngineRegistry", "Options", "State", "StopFlag", "discover"]

_HOMES = {
    "EngineDeclaration": "_declaration",
    "EngineRegistry": "_registry",
    "discover": "_registry",
    "Emit": "_engine",
    "Engine": "_engine",
    "Options": "_engine",
    "State": "_engine",
    "StopFlag": "_engine",
}
"""Imported when first used: a worker pays for this file at every start."""


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
