"""The benchmarks of safety run, measure what they say, and write their part of the page and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
SAFETY = ROOT / "benchmarks" / "safety.py"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SAFETY), *arguments], capture_output=True, text=True, timeout=110)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Figures by name, of a short run of the cheap measures."""
    file = tmp_path_factory.mktemp("bench") / "figures.json"
    done = bench("--quick", "--only", "stuck.lua", "memory.counted_js", "memory.process_lua", "confinement.start", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    return {figure["name"]: figure for figure in json.loads(file.read_text())["figures"]}


def test_a_quick_run_measures_what_was_asked_for(quick):
    assert list(quick) == ["stuck.late_lua", "stuck.next_lua", "memory.counted_js", "memory.process_lua", "confinement.start"]
    assert all(figure["ok"] is not None and figure["measured"] and figure["bar"] for figure in quick.values())


def test_a_reply_to_a_stuck_script_comes_after_its_deadline_and_the_grace_of_a_soft_stop(quick):
    assert min(quick["stuck.late_lua"]["samples"]["seconds"]) >= 0.1


def test_the_engines_own_accounting_is_seen_near_its_cap(quick):
    most = max(quick["memory.counted_js"]["samples"]["bytes"])
    assert 32 << 20 < most <= 64 << 20


def test_a_worker_that_fills_its_memory_is_seen_to_grow(quick):
    assert max(quick["memory.process_lua"]["samples"]["bytes"]) > 32 << 20


def test_every_figure_of_safety_that_the_project_promises_has_a_measure():
    names = bench("--list").stdout.split()
    for group in (
        "stuck",
        "memory.counted",
        "memory.process",
        "crashes",
        "flood.cells",
        "flood.output",
        "confinement.cells",
        "confinement.start",
    ):
        assert any(name.startswith(group) for name in names), group


def test_the_page_is_not_written_from_a_quick_or_partial_run():
    for some in (["--quick"], ["--only", "memory"]):
        done = bench("--docs", *some)
        assert done.returncode == 2
        assert "--docs needs a full run" in done.stderr


@pytest.fixture
def safety_stuck(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SAFETY.parent))
    import safety_stuck

    return safety_stuck


def test_at_least_thirteen_kinds_of_being_stuck_are_measured_and_each_is_an_attack_of_the_corpus(safety_stuck):
    assert sum(len(kinds) for kinds in safety_stuck.KINDS.values()) >= 13
    for language, kinds in safety_stuck.KINDS.items():
        assert len(safety_stuck.chosen(language, kinds, "native", "stuck")) == len(set(kinds)) >= 5


def test_only_the_measured_part_of_a_page_is_written_anew(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SAFETY.parent))
    import report

    page = "before\n<!-- measured: safety -->\nold\n<!-- end of what is measured -->\nafter\n"
    assert report.between(page, "safety", "new") == page.replace("old", "new")
    assert "<!-- measured: safety -->" in (ROOT / "docs" / "security.md").read_text()
    with pytest.raises(ValueError, match="has no part"):
        report.between("no marks", "safety", "new")
