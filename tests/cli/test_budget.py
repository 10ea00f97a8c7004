"""`llmspell budget`: the day's use, of every notebook and command of the user."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmspell_kernel.cli._folder import root
from llmspell_kernel.journal.ledger import FILE, Ledger
from llmspell_kernel.policy.budgets import Amounts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "llmspell"


def run(*options: str) -> str:
    done = CliRunner().invoke(root(), ["budget", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_it_shows_what_was_used_of_each_budget_of_the_day(folder: Path) -> None:
    Ledger(folder, Amounts._fields).reserve(lambda sums: Amounts(3, 1_500, 45_000_000_000, 2_500, 0, 2))
    text = " ".join(run().split())
    assert "budgets.day_requests 3 no limit " in text
    assert "budgets.day_tokens 1,500 no limit " in text
    assert "budgets.day_cost_usd $45.0000 $50.0000 90 %" in text
    assert "2 of the requests have no known price: the cost is higher than shown." in text


def test_it_loads_no_session(folder: Path) -> None:
    asked = "from llmspell_kernel.cli._folder import root; root()(['budget'], standalone_mode=False)"
    told = f"import sys; {asked}; print([name for name in sys.modules if name.startswith('llmspell_kernel.session')])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


def test_it_can_be_read_by_programs(folder: Path) -> None:
    Ledger(folder, Amounts._fields).reserve(lambda sums: Amounts(3, 1_500, 45_000_000_000, 2_500, 0, 2))
    read = json.loads(run("--json"))
    assert read["budgets"]["budgets.day_cost_usd"] == {"used": 45.0, "of": 50.0}
    assert read["budgets"]["budgets.day_requests"] == {"used": 3.0, "of": None}
    assert read["requests_without_a_price"] == 2


def test_a_day_without_use_is_shown_as_such(folder: Path) -> None:
    assert "budgets.day_cost_usd $0.0000 $50.0000" in " ".join(run().split())


def test_an_unreadable_record_is_set_aside_not_an_error(folder: Path) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(b"nonsense" * 100)
    run()
    assert len(list(folder.glob(f"{FILE}.unreadable-*"))) == 1
