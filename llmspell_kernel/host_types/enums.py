"""Enumerations: a member is its value for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from ..values import Value
from ._record import HostType


def _to_plain(member: Any) -> Value:
    """The value, or the name of a member whose value is no plain one; a combination of flags is its number."""
    return member.value if isinstance(member.value, (str, int, float)) else member.name


def _from_plain(value: Value, cls: type[Enum]) -> Any:
    for member in cls:
        plain = _to_plain(member)
        if plain == value and isinstance(plain, bool) == isinstance(value, bool):
            return member
    return cls(value)  # combined flags, and what the class itself makes of an unknown value


def _wanted(cls: type[Enum]) -> str:
    first, *rest = [repr(_to_plain(member)) for member in cls] or ["a member of an empty enumeration"]
    return f"{', '.join([first, *rest[:-1]])} or {rest[-1]}" if rest else first


def _schema(cls: type[Enum]) -> Mapping[str, Any]:
    return {"enum": [_to_plain(member) for member in cls]}


TYPES = (
    HostType(
        "enum",
        ("enum:Enum",),
        _to_plain,
        _from_plain,
        takes=frozenset({str, int, float, bool}),
        wanted=_wanted,
        signature=lambda cls: " | ".join(repr(_to_plain(member)) for member in cls),
        schema=_schema,
        to_scripts="the member's value",
        from_scripts="the member's value",
        note="a value other than text or a number (a tuple, say) crosses as the member's name",
    ),
)
