"""What names something of one script state alone goes into no other one."""

from __future__ import annotations

from ..errors import ValueCrossingError
from ..values import Callback, ResourceRef, Value


def refuse_foreign(value: Value, path: str) -> None:
    """Raises ValueCrossingError for what names something of one state alone."""
    match value:
        case Callback():
            raise ValueCrossingError("a function cannot go from one state to another; give it a name with tools.register", path=path)
        case ResourceRef():
            raise ValueCrossingError(f"a {value.type} cannot go from one state to another", path=path)
        case list() | tuple():
            for index, item in enumerate(value):
                refuse_foreign(item, f"{path}[{index}]")
        case dict():
            for key, item in value.items():
                refuse_foreign(item, f"{path}.{key}")
