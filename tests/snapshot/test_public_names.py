"""No public name comes, goes or changes by accident."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from .record import ACCEPT, differences, names_now, names_settled


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return names_now()


def test_every_public_name_is_as_it_was_settled(now: dict[str, Any]) -> None:
    found = differences(names_settled(), now)
    mend = f"Where that is meant, accept it with `{ACCEPT}` and tell of it in CHANGELOG.md."
    assert not found, "\n".join(["the public names are not those that were settled:", *found, mend])


def test_the_names_are_the_same_at_every_reading(now: dict[str, Any]) -> None:
    """Nothing of this machine or run, such as an address, is in them."""
    assert not differences(now, names_now())
    assert "0x" not in json.dumps(now)


def test_what_came_went_or_changed_is_told_line_by_line() -> None:
    before = {"engines": {"lua": {"a": "1", "b": "2"}}}
    after = {"engines": {"lua": {"a": "1", "b": "3"}, "js": {"c": "4"}}}
    assert differences(before, after) == ["added    engines > js > c: 4", "changed  engines > lua > b:\n           2\n        -> 3"]
    assert differences(after, before)[-1] == "removed  engines > js > c: 4"


def test_every_part_of_the_package_that_has_names_is_in_the_record(now: dict[str, Any]) -> None:
    parts = ("python", "bridges", "engines", "errors", "journal events", "protocol", "settings", "commands", "magics", "scripts")
    assert all(len(list(_leaves(now[part]))) >= 10 for part in parts), {part: len(list(_leaves(now[part]))) for part in parts}


def _leaves(names: Mapping[str, Any]) -> Iterator[str]:
    for item in names.values():
        if isinstance(item, Mapping):
            yield from _leaves(item)
        else:
            yield item
