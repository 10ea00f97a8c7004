"""What models may cost: the table [budgets]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Budgets(NamedTuple):
    cell_requests: int = 1_000
    """How many requests to models one cell may make."""


TIGHTER: Mapping[str, str] = {"cell_requests": "lower"}
