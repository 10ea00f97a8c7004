"""The field's conformance suite, `jupyter_kernel_test`, as our tests run it: how many of its tests each language kernel passes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable

ROOT = Path(__file__).parent.parent
SUITE = "tests/kernel/test_jupyter_protocol.py"
TESTS = 13
TIMEOUT_S = 600


def conformance(language: Language, runs: Runs) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", SUITE, "-k", language.title, f"--junit-xml={report}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
        if not report.exists():
            raise Unmeasurable(f"pytest left no report (exit status {done.returncode}): {done.stdout[-300:]}")
        cases = ET.parse(report).getroot().findall(".//testcase")  # our own file, just written
    bad = sorted({str(case.get("name")) for case in cases if len(case)})  # a case with a child failed or was skipped
    passed = {case.get("name") for case in cases} - set(bad)
    yield Figure(
        f"protocol.{language.short}",
        f"`jupyter_kernel_test` on `{language.kernel}`",
        f"{TESTS} of {TESTS}",
        f"{len(passed)} of {TESTS}" + (f"; not passed: {', '.join(bad)}" if bad else ""),
        "stock ipykernel 12 of 13 (history's range)",
        len(passed) == TESTS,
    )


MEASURES: dict[str, Measure] = {f"protocol.{language.short}": partial(conformance, language) for language in LANGUAGES}
