"""Reads coverage's JSON report, shows it by folder, and fails where a part of the package is below its bar.

python checks/coverage_bars.py coverage.json
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

PACKAGE = "llmspell_kernel"
BRANCH_BAR, LINE_BAR = 95.0, 90.0
BRANCH_BARS: Mapping[str, tuple[str, ...]] = {
    "policy": ("policy/",),
    "jail": ("services/storage/",),
    "redaction": ("redaction.py",),
    "protocol": ("protocol/",),
}
"""Parts where every way through the code counts, by the beginnings of their paths in the package."""


class Covered(NamedTuple):
    lines: int = 0
    lines_run: int = 0
    branches: int = 0
    branches_run: int = 0

    def __add__(self, other: Covered) -> Covered:  # type: ignore[override]
        return Covered(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))

    @property
    def line_percent(self) -> float:
        return 100 * self.lines_run / self.lines if self.lines else 100.0

    @property
    def branch_percent(self) -> float:
        """Of lines and branches together, as coverage itself counts where it measures branches."""
        return 100 * (self.lines_run + self.branches_run) / (self.lines + self.branches) if self.lines else 100.0


def files_of(report: Mapping[str, Any]) -> dict[str, Covered]:
    """By path in the package."""
    found = {}
    for name, entry in report["files"].items():
        parts = PurePosixPath(name).parts
        path = "/".join(parts[parts.index(PACKAGE) + 1 :])
        told = entry["summary"]
        found[path] = Covered(told["num_statements"], told["covered_lines"], told["num_branches"], told["covered_branches"])
    return found


def total(parts: Iterable[Covered]) -> Covered:
    return sum(parts, start=Covered())


def by_folder(files: Mapping[str, Covered]) -> dict[str, Covered]:
    found: dict[str, list[Covered]] = defaultdict(list)
    for path, covered in files.items():
        found[path.rpartition("/")[0] or "(top)"].append(covered)
    return {folder: total(parts) for folder, parts in sorted(found.items())}


def shortfalls(files: Mapping[str, Covered]) -> list[str]:
    short = []
    for name, beginnings in BRANCH_BARS.items():
        parts = [covered for path, covered in files.items() if path.startswith(beginnings)]
        percent = total(parts).branch_percent
        if not parts:
            short.append(f"{name}: there is no file at {' or '.join(beginnings)}")
        elif percent < BRANCH_BAR:
            short.append(f"{name}: {percent:.1f} % of lines and branches, bar {BRANCH_BAR:g} %")
    overall = total(files.values()).line_percent
    if overall < LINE_BAR:
        short.append(f"all: {overall:.1f} % of lines, bar {LINE_BAR:g} %")
    return short


def main(report: Path) -> int:
    files = files_of(json.loads(report.read_text("utf-8")))
    for folder, covered in [*by_folder(files).items(), ("all", total(files.values()))]:
        print(f"{folder:<40} {covered.line_percent:6.1f} % of lines  {covered.branch_percent:6.1f} % of lines and branches")
    short = shortfalls(files)
    for line in short:
        print(f"BELOW ITS BAR  {line}")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
