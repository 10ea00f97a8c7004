"""The page on faults and the tests of faults are the same list."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")
SURVIVED = PAGE.partition("## What is survived")[2].partition("## What waits")[0]


def test_every_file_of_tests_stands_in_a_row_and_every_row_names_what_is_there() -> None:
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}
    named = set(re.findall(r"`([\w/]*test_\w+\.py)`", SURVIVED))
    assert {name for name in named if "/" not in name} == here
    assert all((ROOT / name).is_file() for name in named if "/" in name)


def test_every_row_names_its_test() -> None:
    rows = [line for line in SURVIVED.splitlines() if line.startswith("| ") and "fault |" not in line]
    assert len(rows) >= 20
    assert all("tests/" in row or ".py`" in row for row in rows)
