"""What of a session's events is told to other programs: the table [observe], which is the user's alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .numbers import FromZero


class ObservePolicy(NamedTuple):
    traces: bool = False
    """Are cells and their calls sent as OpenTelemetry spans?  The standard OTEL_* variables say where to."""
    metrics_port: FromZero = 0
    """The port of this machine (127.0.0.1) where Prometheus reads counts and times; 0 for none."""
    logs: bool = False
    """Is each event written as a line of JSON to Python's logger `llmspell.events`?"""


TIGHTER: Mapping[str, str] = {}
