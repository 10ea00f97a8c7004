"""The tool `datetime`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import ScriptError
from llmspell_kernel.session import Session

from .using import Answers, problems, session_with_tools, use, use_in

NOON = 1_767_268_800.5
"""2026-01-01T12:00:00.5Z."""


def test_now_is_the_time_that_the_host_tells_in_the_zone_that_is_asked_for() -> None:
    answers = Answers(timer_now=lambda: NOON)
    found = use("datetime", answers, operation="now", timezone="Asia/Tokyo")
    assert (found["iso"], found["timestamp"], found["weekday"]) == ("2026-01-01T21:00:00.500000+09:00", NOON, "Thursday")
    assert answers.asked == [("timer", "now")]


@pytest.mark.parametrize(
    ("args", "iso"),
    [
        ({"operation": "parse", "value": "2026-03-29T14:30:00+02:00"}, "2026-03-29T14:30:00+02:00"),
        ({"operation": "parse", "value": "2026-03-29T14:30", "timezone": "Europe/Paris"}, "2026-03-29T14:30:00+02:00"),
        ({"operation": "parse", "value": "29/03/2026", "format": "%d/%m/%Y"}, "2026-03-29T00:00:00+00:00"),
        ({"operation": "parse", "value": 0}, "1970-01-01T00:00:00+00:00"),
        ({"operation": "convert", "value": "2026-01-01T00:00:00Z", "to": "America/New_York"}, "2025-12-31T19:00:00-05:00"),
        ({"operation": "add", "value": "2026-01-31", "duration": {"months": 1}}, "2026-02-28T00:00:00+00:00"),
        ({"operation": "add", "value": "2026-01-31", "duration": {"years": 1, "weeks": -1, "minutes": 90}}, "2027-01-24T01:30:00+00:00"),
    ],
)
def test_moments_are_read_moved_and_shown_in_zones(args: dict[str, Any], iso: str) -> None:
    assert use("datetime", **args)["iso"] == iso


def test_a_day_keeps_the_time_of_the_clock_and_24_hours_pass() -> None:
    before_summer_time = {"operation": "add", "value": "2026-03-28T12:00", "timezone": "Europe/Paris"}
    assert use("datetime", **before_summer_time, duration={"days": 1})["iso"] == "2026-03-29T12:00:00+02:00"
    assert use("datetime", **before_summer_time, duration={"hours": 24})["iso"] == "2026-03-29T13:00:00+02:00"


def test_a_difference_is_told_in_seconds_and_in_parts_with_its_sign() -> None:
    there = use("datetime", operation="diff", value="2026-01-01", other="2026-01-02T03:04:05.5")
    assert there == {"total_seconds": 97445.5, "days": 1, "hours": 3, "minutes": 4, "seconds": 5.5}
    back = use("datetime", operation="diff", value="2026-01-02T03:04:05.5", other="2026-01-01")
    assert back == {"total_seconds": -97445.5, "days": -1, "hours": -3, "minutes": -4, "seconds": -5.5}


def test_a_format_is_written_in_english_and_in_another_zone() -> None:
    found = use("datetime", operation="format", value="2026-03-29T22:30:00Z", to="Asia/Tokyo", format="%A %d %B %Y, %I:%M %p (%%)")
    assert found == {"text": "Monday 30 March 2026, 07:30 AM (%)"}


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ({"operation": "parse", "value": "soon"}, "date", "'soon' is no date in ISO 8601"),
        ({"operation": "parse", "value": "soon", "format": "%Y"}, "date", "'soon' is no date of the form %Y"),
        ({"operation": "parse"}, "argument", "the operation parse needs value"),
        ({"operation": "add", "value": 0}, "argument", "needs a duration"),
        ({"operation": "convert", "value": 0}, "argument", "needs to, the name of a time zone"),
        ({"operation": "now", "timezone": "Europe/Pariss"}, "timezone", "did you mean 'Europe/Paris'"),
        ({"operation": "now", "timezone": "../../etc/passwd"}, "timezone", "there is no time zone"),
        ({"operation": "format", "value": 0, "format": "%1000000000d"}, "format", "the format has '%1'"),
        ({"operation": "format", "value": 0, "format": "100%"}, "format", "the format has '%'"),
        ({"operation": "parse", "value": 1e300}, "date", "after the year 9999"),
        ({"operation": "add", "value": "9999-12-31", "duration": {"days": 1}}, "date", "after the year 9999"),
        ({"operation": "add", "value": "2026-01-31", "duration": {"years": -1000000}}, "date", "before the year 1"),
        ({"operation": "convert", "value": "0001-01-01", "to": "America/New_York"}, "date", "before the year 1"),
        ({"operation": "add", "value": 0, "duration": {"months": 0.5}}, "argument", "whole months"),
    ],
)
def test_what_cannot_be_is_an_error_that_says_why(args: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(ScriptError) as caught:
        use("datetime", Answers(timer_now=lambda: NOON), **args)
    assert caught.value.code == code and says in str(caught.value)


def test_amounts_that_are_too_large_and_unknown_parts_do_not_fit_the_schema() -> None:
    found = problems("datetime", {"operation": "add", "value": 0, "duration": {"days": 1e9, "moons": 1}})
    assert [problem.path for problem in found] == ["$.duration", "$.duration.days"]


def test_a_replay_tells_the_time_of_its_recording(tmp_path: Path) -> None:
    async def told(session: Session, mode: Any) -> list[Any]:
        session.tape(mode, tmp_path / "x.cassette.jsonl")
        found = [await use_in(session, "datetime", operation="now") for _ in range(2)]
        session.end_taping()
        return found

    async def play() -> None:
        async with session_with_tools(tmp_path) as session:
            first = await told(session, "record")
        async with session_with_tools(tmp_path) as session:
            assert await told(session, "replay") == first

    asyncio.run(play())
