"""How many worker processes a session has, and how long they live: the table [workers]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class WorkerPolicy(NamedTuple):
    max: int = 64
    """How many workers run at once, spares included; further states wait for one."""


TIGHTER: Mapping[str, str] = {"max": "lower"}
