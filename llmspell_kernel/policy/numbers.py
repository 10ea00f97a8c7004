"""Annotations of a table's fields for numbers that are not simply more than 0."""

from __future__ import annotations

from typing import Annotated, NamedTuple


class Least(NamedTuple):
    """The lowest value that a field may have."""

    value: float


FromZero = Annotated[int, Least(0)]
