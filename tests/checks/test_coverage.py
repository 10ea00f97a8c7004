"""Coverage counts what workers run, and its bars fail where they should."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.protocol.steps import Finished
from llmspell_kernel.workers import spawn

from ..workers.processes import REAL, worker_of
from .loading import FOLDER, script

bars: Any = script("coverage_bars")
plugin: Any = script("measured_workers")
PACKAGE = FOLDER.parent / "llmspell_kernel"


def descriptors(pid: int) -> list[str]:
    return [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]


def report(**files: tuple[int, int, int, int]) -> dict[str, Any]:
    """Coverage's JSON, of files by name: lines, lines run, branches, branches run."""
    keys = ("num_statements", "covered_lines", "num_branches", "covered_branches")
    return {
        "files": {
            f"/somewhere/llmspell_kernel/{name.replace('__', '/')}.py": {"summary": dict(zip(keys, numbers, strict=True))}
            for name, numbers in files.items()
        }
    }


FULL = {"policy__a": (10, 10, 4, 4), "protocol__a": (10, 10, 0, 0), "redaction": (1, 1, 0, 0), "services__storage__jail": (1, 1, 0, 0)}


def test_a_package_that_is_wholly_run_is_above_every_bar() -> None:
    assert bars.shortfalls(bars.files_of(report(**FULL))) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"policy__a": (10, 10, 10, 8)}, "policy: 90.0 % of lines and branches"),
        ({"protocol__b": (10, 8, 0, 0)}, "protocol: 90.0 %"),
        ({"redaction": (10, 0, 0, 0)}, "redaction: 0.0 %"),
        ({"session__session": (100, 50, 0, 0)}, "all: 59.0 % of lines"),
    ],
)
def test_a_part_below_its_bar_is_told(changed: dict[str, tuple[int, int, int, int]], told: str) -> None:
    (short,) = [
        line for line in bars.shortfalls(bars.files_of(report(**{**FULL, **changed}))) if not line.startswith("all") or "all" in told
    ]
    assert told in short


def test_a_part_that_is_not_there_is_below_its_bar() -> None:
    without = {name: numbers for name, numbers in FULL.items() if name != "redaction"}
    assert any("redaction: there is no file" in line for line in bars.shortfalls(bars.files_of(report(**without))))


def test_the_check_fails_where_a_bar_is_missed(tmp_path: Path) -> None:
    for name, files, code in (("good", FULL, 0), ("bad", {**FULL, "policy__a": (10, 1, 0, 0)}, 1)):
        (tmp_path / name).write_text(json.dumps(report(**files)))
        done = subprocess.run([sys.executable, FOLDER / "coverage_bars.py", tmp_path / name], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout
        assert ("BELOW ITS BAR" in done.stdout) == bool(code)


@pytest.mark.parametrize("cut", ["", "/so", "/some/file.py 3", "/some/file.py 3 ", "\n4\n", "70 -265\n", "/me/file.py 3 4\n"])
def test_what_is_no_whole_line_is_left_out(cut: str, tmp_path: Path) -> None:
    (tmp_path / "1.arcs").write_bytes(f"/some/file.py -1 2\n/some/file.py 2 3\n{cut}".encode() + bytes(20))
    assert plugin.arcs_of(tmp_path.glob("*.arcs"), Path("/some")) == {"/some/file.py": {(-1, 2), (2, 3)}}


def test_a_confined_worker_notes_what_it_runs_although_it_may_write_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = plugin.BOOT.format(here=str(FOLDER), folder=str(tmp_path), package=f"{PACKAGE}/")
    monkeypatch.setattr(spawn, "BOOT", begin + spawn.BOOT)

    async def play() -> None:
        async with worker_of(REAL, "lua") as (worker, _):
            assert set(worker.layers.values()) == {""}
            assert isinstance(await worker.begin(1, "return 1", "cell[1]"), Finished)
            assert not any("arcs" in name for name in descriptors(worker.pid))

    asyncio.run(play())
    found = plugin.arcs_of(tmp_path.glob("*.arcs"), PACKAGE)
    child = found[str(PACKAGE / "workers" / "child.py")]
    lines = (PACKAGE / "workers" / "child.py").read_text("utf-8").splitlines()
    run = {before for before, _ in child} | {after for _, after in child}
    answered = {number for number, line in enumerate(lines, 1) if "return Stepped(" in line}
    failed = {number for number, line in enumerate(lines, 1) if "the query failed" in line}
    assert answered & run and failed and not failed & run
    assert all(name.startswith(str(PACKAGE)) for name in found)
