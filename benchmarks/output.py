"""A cell that prints many lines: how long until it is idle, and whether every line came before that."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from figures import LANGUAGES, Figure, Language, Measure, Runs, median, ms
from kernel_client import IPYKERNEL, Kernel

LINES = 10_000
MOST = 2.0
PRINT = {
    "lua": 'for i = 1, {n} do print("line " .. i) end',
    "js": 'for (let i = 1; i <= {n}; i++) console.log("line " + i)',
    "python": 'for i in range(1, {n} + 1): print("line", i)',
}


def printed(language: Language, runs: Runs) -> Iterator[Figure]:
    lines = runs.of(LINES, quick=1_000)
    expected = "".join(f"line {number}\n" for number in range(1, lines + 1))
    ours, theirs, whole = [], [], 0
    with Kernel(language.kernel) as kernel, Kernel(IPYKERNEL) as ipykernel:
        for each in (kernel.ready(), ipykernel.ready()):
            each.must_run("1 + 1")
        for _ in range(runs.of(10, quick=1)):
            ran = kernel.must_run(PRINT[language.short].format(n=lines))
            ours.append(ran.seconds)
            whole += ran.text() == expected
            theirs.append(ipykernel.must_run(PRINT["python"].format(n=lines)).seconds)
    ratio = median(ours) / median(theirs)
    yield Figure(
        f"output.{language.short}",
        f"{lines:,} lines printed by {language.title}, to idle",
        f"<= {MOST:g}x ipykernel, all lines before idle",
        f"{ratio:.2f}x ({ms(median(ours))}), all lines and in order in {whole} of {len(ours)}",
        f"ipykernel {ms(median(theirs))}",
        ratio <= MOST and whole == len(ours),
        {"seconds": ours, "ipykernel_seconds": theirs},
    )


MEASURES: dict[str, Measure] = {f"output.{language.short}": partial(printed, language) for language in LANGUAGES}
