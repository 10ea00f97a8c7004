"""The benchmarks run, say what they measured, and refuse what would spoil the documentation's table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUN = ROOT / "benchmarks" / "run.py"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(RUN), *arguments], capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict]:
    """What two cheap measures printed, and the JSON they left."""
    file = tmp_path_factory.mktemp("bench") / "figures.json"
    done = bench("--quick", "--only", "bridge.concurrent_lua", "memory.state_lua", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(file.read_text())


def test_a_quick_run_measures_what_was_asked_for(quick):
    _, written = quick
    assert [figure["name"] for figure in written["figures"]] == ["bridge.concurrent_lua", "memory.state_lua", "memory.worker_lua"]
    assert all(figure["ok"] is not None and figure["measured"] and figure["bar"] and figure["reference"] for figure in written["figures"])


def test_a_concurrent_effect_takes_no_less_than_its_wait(quick):
    _, written = quick
    assert min(written["figures"][0]["samples"]["seconds"]) >= 0.05


def test_the_table_has_a_row_for_every_figure(quick):
    printed, written = quick
    rows = [line for line in printed.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(written["figures"])
    for row, figure in zip(rows, written["figures"], strict=True):
        assert figure["measure"] in row and figure["measured"] in row


def test_the_results_name_no_machine(quick):
    _, written = quick
    assert set(written["machine"]) == {"cores", "system", "architecture", "python", "packages", "load_average"}
    assert str(ROOT) not in json.dumps(written)


def test_the_documentation_is_not_written_from_a_quick_or_partial_run():
    for some in (["--quick"], ["--only", "memory"]):
        done = bench("--docs", *some)
        assert done.returncode == 2
        assert "--docs needs a full run" in done.stderr


def test_an_unknown_measure_is_refused_with_the_known_names():
    done = bench("--only", "memroy")
    assert done.returncode == 2
    assert "memroy" in done.stderr and "memory.kernel" in done.stderr


def test_every_figure_the_project_promises_has_a_measure():
    names = bench("--list").stdout.split()
    for group in ("start", "cells", "output", "interrupt", "bridge", "scripts", "memory", "stream", "protocol"):
        assert any(name.startswith(f"{group}.") for name in names), group


def test_what_became_slower_than_the_stored_result_is_told(tmp_path):
    stored = tmp_path / "stored.json"
    first = bench("--only", "bridge.concurrent_lua", "--json", str(stored))
    assert "no stored result" in first.stdout
    result = json.loads(stored.read_text())
    for figure in result["figures"]:
        figure["samples"] = {series: [sample / 10 for sample in samples] for series, samples in figure["samples"].items()}
    stored.write_text(json.dumps(result))
    second = bench("--only", "bridge.concurrent_lua", "--json", str(stored))
    assert "bridge.concurrent_lua (seconds): +" in second.stdout
    assert "python_seconds" not in second.stdout.split("slower or larger")[-1]
    third = bench("--quick", "--only", "bridge.concurrent_lua", "--json", str(stored))
    assert "python_seconds" not in third.stdout
    assert "quick run" in bench("--quick", "--only", "bridge.concurrent_lua", "--json", str(stored)).stdout
