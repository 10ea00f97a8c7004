"""The table of all figures: for a terminal, for the documentation, and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from figures import Figure, median

Facts = dict[str, Any]
SLOWER_BY = 0.2
REFERENCES = ("python", "ipykernel", "spare", "plain", "ordinary")
"""Series of what we are measured beside: that a machine's own ipykernel got slower is no news of ours."""
COLUMNS = ("measure", "bar", "measured", "beside it", "")
PACKAGES = ("llmspell-kernel", "ipykernel", "jupyter-client", "lupa", "quickjs-ng", "litellm")
DOCS = """# Performance

Measured by `make bench` (`python benchmarks/run.py --docs`), which writes this page. Each figure stands beside stock ipykernel, or beside the
same work done directly in Python, taken in the same run in turns with ours; times are medians of several runs unless the row says more.
`python benchmarks/run.py --only NAME` takes single measures, and the raw samples are in `benchmarks/results/latest.json`.

{machine}

{table}

{shortfalls}
"""


def mark(figure: Figure) -> str:
    return {True: "ok", False: "**short**", None: "**error**"}[figure.ok]


def markdown(figures: Sequence[Figure]) -> str:
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for figure in figures:
        cells = (figure.measure, figure.bar, figure.measured, figure.reference, mark(figure))
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def terminal_line(figure: Figure) -> str:
    state = {True: "ok   ", False: "SHORT", None: "ERROR"}[figure.ok]
    return f"{state}  {figure.name}: {figure.measured}  [bar {figure.bar or '-'}]  {figure.reference}".rstrip()


def machine() -> Facts:
    """What the figures depend on, and nothing that names the machine."""
    return {
        "cores": os.cpu_count(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def slower(figures: Sequence[Figure], facts: Facts, stored: Path) -> str:
    """What became more than SLOWER_BY slower or larger than in the stored result, by the median of each series of samples."""
    try:
        last = json.loads(stored.read_text())
    except FileNotFoundError:
        return "There is no stored result to compare with."
    if last["quick"] or any(last["machine"][key] != facts[key] for key in ("cores", "architecture")):
        return "The stored result is of a quick run or of another machine: nothing to compare with."
    before = {figure["name"]: figure["samples"] for figure in last["figures"]}
    found = [
        f"{figure.name} ({series}): {change:+.0%} since the stored result"
        for figure in figures
        for series, samples in figure.samples.items()
        if not series.startswith(REFERENCES)
        if (change := _change(samples, before.get(figure.name, {}).get(series))) > SLOWER_BY
    ]
    if not found:
        return f"Nothing became more than {SLOWER_BY:.0%} slower or larger since the stored result."
    return "\n".join([f"More than {SLOWER_BY:.0%} slower or larger than in the stored result:", *found])


def _change(samples: Sequence[float], before: Sequence[float] | None) -> float:
    if not before or not samples or median(before) <= 0:
        return 0.0
    return median(samples) / median(before) - 1


def as_json(figures: Sequence[Figure], facts: Facts, quick: bool) -> str:
    return json.dumps({"machine": facts, "quick": quick, "figures": [figure._asdict() for figure in figures]}, indent=1)


def page(figures: Sequence[Figure], facts: Facts) -> str:
    return DOCS.format(machine=where(facts), table=markdown(figures), shortfalls=shortfalls(figures))


def where(facts: Facts) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in facts["packages"].items())
    told = f"On {facts['cores']} {facts['architecture']} cores, {facts['system']}, Python {facts['python']}, {packages}."
    return f"{told} When the run began the machine's load average was {facts['load_average'][0]}."


def between(page: str, name: str, text: str) -> str:
    """The page with what stands between `<!-- measured: NAME -->` and the mark of its end made anew."""
    head, end = f"<!-- measured: {name} -->\n", "<!-- end of what is measured -->\n"
    before, found, rest = page.partition(head)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"the page has no part '{head.strip()}' that ends with '{end.strip()}'")
    return f"{before}{head}{text.rstrip()}\n{end}{after}"


def shortfalls(figures: Sequence[Figure]) -> str:
    short = [figure for figure in figures if not figure.ok]
    if not short:
        return "Every bar was met in this run."
    lines = [
        f"- {figure.measure}: {figure.measured or figure.reference}" + (f", bar {figure.bar}" if figure.bar else "") for figure in short
    ]
    return "\n".join(["Not met in this run:", "", *lines])
