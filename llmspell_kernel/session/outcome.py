"""What came of a cell."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import SpellError
from ..values import Value


class Outcome(NamedTuple):
    """`values` are the cell's results (Lua may have several; empty = none); `outputs` the globals that were asked for by name.

    `cell` is the id under which the journal holds the cell's events.
    """

    cell: int
    values: list[Value]
    error: SpellError | None
    outputs: dict[str, Any]
    duration_s: float
