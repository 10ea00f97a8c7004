"""The tool `datetime`: the time, and computing with dates; in zones by their names, in ISO 8601.

Rules
- The time of day is asked of the bridge `timer`, so that a replay tells that of its recording.
- A format may hold the directives DIRECTIVES and no other: the C library knows some that fill the memory.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any

from llmspell_kernel.errors import ArgumentError, ScriptError, nearest
from llmspell_kernel.values import Value

from ..tool import BuiltIn, Calls, ToolSpec

DIRECTIVES = "YmdHMSfyjaAbBpIzGuV%"
MAX_FORMAT_CHARS = 100
MAX_VALUE_CHARS = 100
MAX_AMOUNT = 1_000_000
MONTHS_A_YEAR = 12
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
CALENDAR = ("years", "months", "weeks", "days")
CLOCK = ("hours", "minutes", "seconds")
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+/-]{1,64}")  # one class, each letter looked at once


async def _now(call: Calls, args: Mapping[str, Any]) -> Value:
    return _told(datetime.fromtimestamp(float(await call("timer", "now")), UTC).astimezone(_zone(args.get("timezone") or "UTC")))


async def _parse(call: Calls, args: Mapping[str, Any]) -> Value:
    return _told(_moment(args, "value"))


async def _format(call: Calls, args: Mapping[str, Any]) -> Value:
    pattern = args.get("format")
    if not pattern:
        raise ArgumentError("datetime: the operation format needs a format, such as %d %B %Y")
    moment = _moment({**args, "format": None}, "value")
    if args.get("to"):
        moment = moment.astimezone(_zone(args["to"]))
    return {"text": _formatted(moment, pattern)}


async def _add(call: Calls, args: Mapping[str, Any]) -> Value:
    duration = args.get("duration")
    if not duration:
        raise ArgumentError("datetime: the operation add needs a duration, such as {days = 3}")
    return _told(_bounded(lambda: _added(_moment(args, "value"), duration)))


async def _diff(call: Calls, args: Mapping[str, Any]) -> Value:
    """From `value` to `other`."""
    apart = _moment(args, "other") - _moment(args, "value")
    total, sign = abs(apart), -1 if apart < timedelta(0) else 1
    minutes, seconds = divmod(total.seconds + total.microseconds / 1_000_000, 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = {"days": total.days, "hours": hours, "minutes": minutes, "seconds": round(seconds, 6)}
    return {"total_seconds": apart.total_seconds(), **{name: sign * part for name, part in parts.items()}}


async def _convert(call: Calls, args: Mapping[str, Any]) -> Value:
    if not args.get("to"):
        raise ArgumentError("datetime: the operation convert needs to, the name of a time zone such as Asia/Tokyo")
    return _told(_bounded(lambda: _moment(args, "value").astimezone(_zone(args["to"]))))


OPERATIONS: Mapping[str, Callable[[Calls, Mapping[str, Any]], Awaitable[Value]]] = {
    "now": _now,
    "parse": _parse,
    "format": _format,
    "add": _add,
    "diff": _diff,
    "convert": _convert,
}


def _moment(args: Mapping[str, Any], name: str) -> datetime:
    """A point in time of the arguments; one that names no zone is in `timezone`, else in UTC."""
    value, pattern = args.get(name), args.get("format")
    if value is None:
        raise ArgumentError(f"datetime: the operation {args['operation']} needs {name}, a date in ISO 8601 or seconds since 1970")
    zone = _zone(args.get("timezone") or "UTC")
    if not isinstance(value, str):
        return _bounded(lambda: datetime.fromtimestamp(value, UTC).astimezone(zone))
    try:
        found = datetime.strptime(value, _checked(pattern)) if pattern else datetime.fromisoformat(value.strip())
    except ValueError:
        expected = f"of the form {pattern}" if pattern else "in ISO 8601, such as 2026-03-29T14:30:00+02:00"
        raise ScriptError(f"datetime: {value[:MAX_VALUE_CHARS]!r} is no date {expected}", code="date") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


def _added(moment: datetime, duration: Mapping[str, float]) -> datetime:
    """Years to days by the calendar, at the same time of the clock; hours to seconds as time that passes."""
    months = duration.get("years", 0) * MONTHS_A_YEAR + duration.get("months", 0)
    days = duration.get("weeks", 0) * 7 + duration.get("days", 0)
    if months != int(months):
        raise ArgumentError("datetime: years and months of a duration must come to whole months")
    if months:
        year, month = divmod(moment.year * MONTHS_A_YEAR + moment.month - 1 + int(months), MONTHS_A_YEAR)
        if not 1 <= year <= 9999:
            raise OverflowError
        moment = moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
    moment += timedelta(days=days)  # in its own zone: the clock shows the same
    passed = timedelta(**{name: duration.get(name, 0) for name in CLOCK})
    return (moment.astimezone(UTC) + passed).astimezone(moment.tzinfo)


def _told(moment: datetime) -> dict[str, Value]:
    return {
        "iso": moment.isoformat(),
        "timestamp": moment.timestamp(),
        "timezone": str(moment.tzinfo),
        "year": moment.year,
        "month": moment.month,
        "day": moment.day,
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "weekday": WEEKDAYS[moment.weekday()],
        "week": moment.isocalendar().week,
    }


def _checked(pattern: str) -> str:
    letters = iter(pattern)
    for letter in letters:
        if letter == "%" and (directive := next(letters, "")) not in tuple(DIRECTIVES):
            known = " ".join(f"%{one}" for one in DIRECTIVES)
            raise ScriptError(f"datetime: the format has {letter + directive!r}, which is none of {known}", code="format")
    return pattern


def _formatted(moment: datetime, pattern: str) -> str:
    """Names are English, whatever the machine's language."""
    english = {"a": WEEKDAYS[moment.weekday()][:3], "A": WEEKDAYS[moment.weekday()], "b": MONTHS[moment.month - 1][:3]}
    english |= {"B": MONTHS[moment.month - 1], "p": "AM" if moment.hour < 12 else "PM", "Y": f"{moment.year:04}", "%": "%"}
    letters, text = iter(_checked(pattern)), ""
    for letter in letters:
        if letter == "%":
            directive = next(letters)
            letter = english.get(directive) or moment.strftime(f"%{directive}")
        text += letter
    return text


def _zone(name: str) -> tzinfo:
    """Raises ScriptError for a name that this machine's time zones do not have."""
    from zoneinfo import ZoneInfo

    if name in ("UTC", "Z"):
        return UTC
    if not _ZONE_NAME.fullmatch(name) or name not in _zones():
        raise ScriptError(f"datetime: there is no time zone {name[:64]!r}{nearest(name[:64], sorted(_zones()))}", code="timezone")
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    from zoneinfo import available_timezones

    return frozenset(available_timezones())


def _bounded(make: Callable[[], datetime]) -> datetime:
    try:
        return make()
    except (OverflowError, ValueError, OSError):
        raise ScriptError("datetime: the result is before the year 1 or after the year 9999", code="date") from None


async def _run(call: Calls, args: dict[str, Any]) -> Value:
    try:
        return await OPERATIONS[args["operation"]](call, args)
    except OverflowError:  # a zone can move the first or the last day out of what a date can hold
        raise ScriptError("datetime: the date is before the year 1 or after the year 9999", code="date") from None


_AMOUNT = {"type": "number", "minimum": -MAX_AMOUNT, "maximum": MAX_AMOUNT}
_POINT = {"type": ["string", "number"], "maxLength": MAX_VALUE_CHARS}
DATETIME = BuiltIn(
    ToolSpec(
        name="datetime",
        description=(
            "The time of day, and computing with dates. Operations: now; parse (value, format); format (value, format, to); add (value, duration); "
            "diff (from value to other); convert (value, to)."
        ),
        parameters={
            "type": "object",
            "properties": {
                "operation": {"enum": list(OPERATIONS), "description": "what to do"},
                "value": {**_POINT, "description": "a date in ISO 8601, such as 2026-03-29T14:30:00+02:00, or seconds since 1970"},
                "other": {**_POINT, "description": "for diff: the date to count to"},
                "timezone": {
                    "type": "string",
                    "maxLength": 64,
                    "default": "UTC",
                    "description": "of dates that name none, such as Europe/Paris",
                },
                "to": {"type": "string", "maxLength": 64, "description": "for convert and format: the time zone to show"},
                "format": {"type": "string", "maxLength": MAX_FORMAT_CHARS, "description": "for format and parse: such as %d %B %Y, %H:%M"},
                "duration": {
                    "type": "object",
                    "properties": dict.fromkeys((*CALENDAR, *CLOCK), _AMOUNT),
                    "additionalProperties": False,
                    "description": "for add: such as {days: 3, hours: -2}; days and longer keep the time of the clock",
                },
            },
            "required": ["operation"],
            "additionalProperties": False,
        },
        returns={
            "type": "object",
            "description": "of format {text}; of diff {total_seconds, days, hours, minutes, seconds}; else the moment",
            "properties": {
                "iso": {"type": "string"},
                "timestamp": {"type": "number", "description": "seconds since 1970"},
                "timezone": {"type": "string"},
                "weekday": {"enum": list(WEEKDAYS)},
                "week": {"type": "integer", "description": "of the ISO year"},
                "text": {"type": "string"},
                "total_seconds": {"type": "number"},
            },
        },
    ),
    _run,
)
