"""llmspell: script language models from notebooks and the command line, in Lua and JavaScript.

Public names are imported when first used (PEP 562), because a worker pays for this file at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bridges._bridge import Bridge, BridgeSession, Context, Reservation, Resource, ScriptFunction, method
    from .bridges._python_tools import tool
    from .errors import (
        ArgumentError,
        BridgeError,
        ConfigError,
        DeniedError,
        Frame,
        InternalError,
        Interrupted,
        LimitError,
        LoadError,
        ProtocolError,
        ScriptError,
        SpellError,
        ValueCrossingError,
        WorkerLost,
    )
    from .host_types._record import HostType
    from .host_types._registry import register_type
    from .kernel.extension import load_ipython_extension, unload_ipython_extension
    from .policy.approval import ApprovalRequest
    from .policy.decide import Grants
    from .policy.limits import Limits
    from .session import Approver, ExecutionResult, LogEntry, Session, Sink
    from .settings import Settings
    from .spells.running import run, run_async
    from .values import Callback, Value

__version__ = "0.1.0"
__all__ = [
    "ApprovalRequest",
    "Approver",
    "ArgumentError",
    "Bridge",
    "BridgeError",
    "BridgeSession",
    "Callback",
    "ConfigError",
    "Context",
    "DeniedError",
    "ExecutionResult",
    "Frame",
    "Grants",
    "HostType",
    "InternalError",
    "Interrupted",
    "LimitError",
    "Limits",
    "LoadError",
    "LogEntry",
    "ProtocolError",
    "Reservation",
    "Resource",
    "ScriptError",
    "ScriptFunction",
    "Session",
    "Settings",
    "Sink",
    "SpellError",
    "Value",
    "ValueCrossingError",
    "WorkerLost",
    "__version__",
    "load_ipython_extension",
    "method",
    "register_type",
    "run",
    "run_async",
    "tool",
    "unload_ipython_extension",
]

_HOMES = {
    "Bridge": "bridges._bridge",
    "BridgeSession": "bridges._bridge",
    "Context": "bridges._bridge",
    "Reservation": "bridges._bridge",
    "Resource": "bridges._bridge",
    "ScriptFunction": "bridges._bridge",
    "method": "bridges._bridge",
    "ApprovalRequest": "policy.approval",
    "Approver": "session",
    "ExecutionResult": "session",
    "LogEntry": "session",
    "Session": "session",
    "Sink": "session",
    "Callback": "values",
    "Value": "values",
    "Grants": "policy.decide",
    "Limits": "policy.limits",
    "Settings": "settings",
    "run": "spells.running",
    "run_async": "spells.running",
    "tool": "bridges._python_tools",
    "HostType": "host_types._record",
    "register_type": "host_types._registry",
    "load_ipython_extension": "kernel.extension",
    "unload_ipython_extension": "kernel.extension",
}


def __getattr__(name: str) -> Any:
    # what is public and stands nowhere else is an error
    home = _HOMES.get(name, "errors") if name in __all__ else None
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
