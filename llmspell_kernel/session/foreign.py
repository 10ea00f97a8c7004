"""What names something of one script state alone goes into no other one."""

from __future__ import annotations

from ..errors import ValueCrossingError
from ..values import Callback, Value, first_reference


def refuse_foreign(value: Value, path: str) -> None:
    """Raises ValueCrossingError for what names something of one state alone."""
    match first_reference(value, path):
        case (at, Callback()):
            raise ValueCrossingError("a function cannot go from one state to another; give it a name with tools.register", path=at)
        case (at, thing):
            raise ValueCrossingError(f"a {thing.type} cannot go from one state to another", path=at)
