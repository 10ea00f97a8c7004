"""All figures that the project promises, measured, shown, and compared with the last stored result.

python benchmarks/run.py [--only NAME ...] [--quick] [--json FILE] [--docs]
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import agents
import batch
import bridge
import cells
import interrupt
import journal
import memory
import output
import protocol
import report
import scripts
import start
import stream
from figures import Figure, Measure, Runs, failed
from report import Facts

MEASURES: Mapping[str, Measure] = {
    name: measure
    for group in (start, cells, output, interrupt, bridge, batch, agents, scripts, memory, stream, protocol, journal)
    for name, measure in group.MEASURES.items()
}
ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "performance.md"


class Table(NamedTuple):
    """Measures that are taken together, where their samples go, and how the page that shows them is written."""

    title: str
    measures: Mapping[str, Measure]
    results: Path
    page: Path
    write: Callable[[str, list[Figure], Facts], str]
    """From what the page says now to what it shall say."""


PERFORMANCE = Table(
    "Measure what the project promises, each beside ipykernel or the direct call.",
    MEASURES,
    RESULTS,
    PAGE,
    lambda _, figures, facts: report.page(figures, facts),
)


def arguments(table: Table) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=table.title)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="only measures whose name starts so; --list shows the names")
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that the measures work, not how fast we are")
    parser.add_argument(
        "--json", type=Path, default=table.results, metavar="FILE", help=f"where to write the samples ({table.results.relative_to(ROOT)})"
    )
    parser.add_argument("--docs", action="store_true", help=f"write {table.page.relative_to(ROOT)}; needs a full run")
    parser.add_argument("--list", action="store_true", help="show the names of the measures")
    given = parser.parse_args()
    if given.docs and (given.quick or given.only):
        parser.error("--docs needs a full run, without --quick and --only")
    unknown = [name for name in given.only if not any(known.startswith(name) for known in table.measures)]
    if unknown:
        parser.error(f"no measure starts with {', '.join(unknown)}; there are {', '.join(table.measures)}")
    return given


def take(name: str, measure: Measure, runs: Runs) -> Iterator[Figure]:
    """A measure that fails is an error row, and the others go on."""
    try:
        yield from measure(runs)
    except Exception as error:
        traceback.print_exc()
        reason = " ".join(str(error).split())
        yield failed(name, f"{type(error).__name__}: {reason[:200]}")


def main(table: Table = PERFORMANCE) -> int:
    given = arguments(table)
    if given.list:
        print(*table.measures, sep="\n")
        return 0
    runs, facts, figures = Runs(given.quick), report.machine(), []
    for name, measure in table.measures.items():
        if given.only and not name.startswith(tuple(given.only)):
            continue
        for figure in take(name, measure, runs):
            print(report.terminal_line(figure), flush=True)
            figures.append(figure)
    print(f"\n{report.markdown(figures)}")
    print(report.slower(figures, facts, given.json))
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(report.as_json(figures, facts, given.quick) + "\n")
    if given.docs:
        before = table.page.read_text() if table.page.exists() else ""
        table.page.write_text(table.write(before, figures, facts))
    return 1 if any(figure.ok is None for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
