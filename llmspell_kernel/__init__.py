"""llmspell: script language models from notebooks and the command line, in Lua and JavaScript.

Public names are imported when first used (PEP 562), because a worker pays for this file at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bridges._bridge import Bridge, BridgeSession, Context, Resource, method
    from .host_types._record import HostType
    from .host_types._registry import register_type
    from .kernel.extension import load_ipython_extension, unload_ipython_extension

__version__ = "0.1.0"
__all__ = [
    "Bridge",
    "BridgeSession",
    "Context",
    "HostType",
    "Resource",
    "__version__",
    "load_ipython_extension",
    "method",
    "register_type",
    "unload_ipython_extension",
]

_HOMES = {
    "Bridge": "bridges._bridge",
    "BridgeSession": "bridges._bridge",
    "Context": "bridges._bridge",
    "Resource": "bridges._bridge",
    "method": "bridges._bridge",
    "HostType": "host_types._record",
    "register_type": "host_types._registry",
    "load_ipython_extension": "kernel.extension",
    "unload_ipython_extension": "kernel.extension",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
