"""One notebook (or one command): its script states, the effect loop, the journal.

The way of an effect: the next step of a worker -> policy -> arguments checked -> bridge -> journal -> the worker goes on.
Imports workers, bridges, engines (registry), services.modules, policy, journal, protocol, shown, host_types; nothing of rendering or
Jupyter.
"""

from .approval import Approver
from .background import BackgroundTask
from .result import ExecutionResult, LogEntry
from .session import Session
from .sink import NullSink, Sink

__all__ = ["Approver", "BackgroundTask", "ExecutionResult", "LogEntry", "NullSink", "Session", "Sink"]
