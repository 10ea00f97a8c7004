"""Types that cross as text: dates, times, durations, decimals, UUIDs and paths."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from ..values import Value
from ._record import HostType


def _parsed(value: Value, cls: Any) -> Any:
    """pandas' Timestamp is made by the same method as its parent."""
    return cls.fromisoformat(value)


def _duration(value: Value, cls: Any) -> timedelta:
    return msgspec.convert(value, timedelta, strict=True)


def _decimal(value: Value, cls: Any) -> Any:
    try:
        found = cls(value)
    except ArithmeticError:
        raise ValueError("not a number") from None
    if not found.is_finite():
        raise ValueError("not finite")
    return found


def _written_by_msgspec(value: Any) -> Value:
    return msgspec.to_builtins(value)


def _iso(value: Any) -> str:
    return str(value.isoformat())


def _text(name: str, place: str, wanted: str, to_plain: Callable[[Any], Value], from_plain: Any, **more: Any) -> HostType:
    more = {"takes": frozenset({str}), "to_scripts": "string", "from_scripts": "string", **more}
    return HostType(name, (place,), to_plain, from_plain, wanted=wanted, **more)


TYPES = (
    _text(
        "datetime",
        "datetime:datetime",
        "an ISO date and time, such as '2025-01-31T12:00:00+00:00'",
        _iso,
        _parsed,
        schema={"type": "string", "format": "date-time"},
        note="ISO 8601; without an offset where it has no time zone. A JavaScript `Date` crosses as such a text.",
    ),
    _text(
        "date",
        "datetime:date",
        "an ISO date, such as '2025-01-31'",
        _iso,
        _parsed,
        schema={"type": "string", "format": "date"},
        note="ISO 8601",
    ),
    _text(
        "time",
        "datetime:time",
        "an ISO time, such as '12:30:00'",
        _iso,
        _parsed,
        schema={"type": "string", "format": "time"},
        note="ISO 8601",
    ),
    _text(
        "timedelta",
        "datetime:timedelta",
        "an ISO duration, such as 'PT1H30M'",
        _written_by_msgspec,
        _duration,
        schema={"type": "string", "format": "duration"},
        note="ISO 8601, in days and seconds: `P1DT3600S`",
    ),
    _text(
        "Decimal",
        "decimal:Decimal",
        "a decimal number as text, such as '1.50'",
        str,
        _decimal,
        takes=frozenset({str, int}),
        from_scripts="string or integer",
        schema={"type": "string", "format": "decimal"},
        note="text, because a double would change it; scripts cannot give NaN or infinity",
    ),
    _text(
        "UUID",
        "uuid:UUID",
        "a UUID as text",
        str,
        lambda value, cls: msgspec.convert(value, cls, strict=True),
        schema={"type": "string", "format": "uuid"},
    ),
    _text("Path", "pathlib:PurePath", "a path as text", str, lambda value, cls: cls(value), schema={"type": "string"}),
)
