"""All figures that the project promises, measured, shown, and compared with the last stored result.

python benchmarks/run.py [--only NAME ...] [--quick] [--json FILE] [--docs]
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import bridge
import cells
import interrupt
import memory
import output
import protocol
import report
import scripts
import start
import stream
from figures import Figure, Measure, Runs, failed

MEASURES: dict[str, Measure] = {
    name: measure
    for group in (start, cells, output, interrupt, bridge, scripts, memory, stream, protocol)
    for name, measure in group.MEASURES.items()
}
ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "performance.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what the project promises, each beside ipykernel or the direct call.")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="only measures whose name starts so; --list shows the names")
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that the measures work, not how fast we are")
    parser.add_argument(
        "--json", type=Path, default=RESULTS, metavar="FILE", help="where to write the samples (benchmarks/results/latest.json)"
    )
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md; needs a full run")
    parser.add_argument("--list", action="store_true", help="show the names of the measures")
    given = parser.parse_args()
    if given.docs and (given.quick or given.only):
        parser.error("--docs needs a full run, without --quick and --only")
    unknown = [name for name in given.only if not any(known.startswith(name) for known in MEASURES)]
    if unknown:
        parser.error(f"no measure starts with {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    return given


def take(name: str, measure: Measure, runs: Runs) -> Iterator[Figure]:
    """A measure that fails is an error row, and the others go on."""
    try:
        yield from measure(runs)
    except Exception as error:
        traceback.print_exc()
        reason = " ".join(str(error).split())
        yield failed(name, f"{type(error).__name__}: {reason[:200]}")


def main() -> int:
    given = arguments()
    if given.list:
        print(*MEASURES, sep="\n")
        return 0
    runs, facts, figures = Runs(given.quick), report.machine(), []
    for name, measure in MEASURES.items():
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
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(report.page(figures, facts))
    return 1 if any(figure.ok is None for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
