"""Sets: lists for scripts."""

from __future__ import annotations

from collections.abc import Collection

from ..values import Value
from ._record import HostType


def _in_order(value: Collection[Value]) -> Value:
    """Sorted where that can be, because the order of a set of strings changes from process to process."""
    try:
        return sorted(value)
    except TypeError:
        return list(value)


TYPES = (
    HostType(
        "set, frozenset",
        ("builtins:set", "builtins:frozenset"),
        _in_order,
        to_scripts="list",
        from_scripts="list",
        note="sorted where the members can be compared; a member given twice is one",
    ),
)
