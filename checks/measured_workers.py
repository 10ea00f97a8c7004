"""A pytest plugin: `--measure-workers FOLDER` has every worker of the tests' process note its arcs there, and adds them to coverage's data.

It needs no door in the package: the text that a worker is started with gets a beginning.  Workers of kernels and commands, which are processes of
their own, note nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import coverage
import pytest

HERE = Path(__file__).parent
ARC = re.compile(r"(/[^ ]*\.py) (-?[0-9]+) (-?[0-9]+)")
PACKAGE = HERE.parent / "llmspell_kernel"
BOOT = "import sys; sys.path.insert(0, {here!r}); import worker_arcs; del sys.path[0]; worker_arcs.start({folder!r}, {package!r}); "


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--measure-workers", type=Path, metavar="FOLDER", help="note which lines workers run")


def pytest_configure(config: pytest.Config) -> None:
    folder: Path | None = config.getoption("--measure-workers")
    if folder is not None:
        from llmspell_kernel.workers import spawn

        folder.mkdir(parents=True, exist_ok=True)
        spawn.BOOT = BOOT.format(here=str(HERE), folder=str(folder.absolute()), package=f"{PACKAGE}/") + spawn.BOOT


def pytest_unconfigure(config: pytest.Config) -> None:
    folder: Path | None = config.getoption("--measure-workers")
    if folder is not None:
        data = coverage.CoverageData(basename=str(folder.parent / ".coverage"), suffix="workers")
        data.add_arcs(arcs_of(folder.glob("*.arcs"), PACKAGE))
        data.write()


def arcs_of(files: Iterable[Path], package: Path) -> dict[str, set[tuple[int, int]]]:
    """Of whole lines: a worker may have been killed in the middle of one, and two of its threads may have written across each other."""
    found: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for file in files:
        whole = file.read_bytes().rpartition(b"\n")[0]
        for line in whole.decode().splitlines():
            if (arc := ARC.fullmatch(line)) is not None and arc[1].startswith(f"{package}/"):
                found[arc[1]].add((int(arc[2]), int(arc[3])))
    return found
