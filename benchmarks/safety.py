"""The figures behind docs/security.md: how late, how large and how costly it can get when scripts are hostile.

python benchmarks/safety.py [--only NAME ...] [--quick] [--json FILE] [--docs]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import report
import safety_confinement
import safety_crashes
import safety_flood
import safety_memory
import safety_stuck
from figures import Figure, Measure
from report import Facts
from run import ROOT, Table, main

MEASURES: Mapping[str, Measure] = {
    name: measure
    for group in (safety_stuck, safety_memory, safety_crashes, safety_flood, safety_confinement)
    for name, measure in group.MEASURES.items()
}


def write(page: str, figures: list[Figure], facts: Facts) -> str:
    return report.between(page, "safety", "\n\n".join((report.where(facts), report.markdown(figures), report.shortfalls(figures))))


SAFETY = Table(
    "Measure what hostile scripts can do to time, memory and the kernel, and what holding them costs.",
    MEASURES,
    ROOT / "benchmarks" / "results" / "safety.json",
    ROOT / "docs" / "security.md",
    write,
)

if __name__ == "__main__":
    sys.exit(main(SAFETY))
