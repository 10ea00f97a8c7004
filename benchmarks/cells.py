"""How long a trivial script cell takes: the first of a fresh kernel, and one among many, beside ipykernel's Python cell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable, median, ms, percentile
from kernel_client import IPYKERNEL, Kernel

FIRST_MOST_S = 0.1
ROUND_TRIP_MOST = 1.5
TRIVIAL = "1 + 1"


def first_cell_seconds(name: str, code: str) -> float:
    with Kernel(name) as kernel:
        kernel.answering()
        started = time.perf_counter()
        reply = kernel.reply_to(kernel.send(code))
        seconds = time.perf_counter() - started
    if reply["status"] != "ok":
        raise Unmeasurable(f"the first cell failed in {name}: {reply.get('evalue')}")
    return seconds


def first(language: Language, runs: Runs) -> Iterator[Figure]:
    ours, theirs = [], []
    for _ in range(runs.of(10, quick=1)):
        ours.append(first_cell_seconds("llmspell", f"{language.magic}\n{TRIVIAL}"))
        theirs.append(first_cell_seconds(IPYKERNEL, TRIVIAL))
    yield Figure(
        f"cells.first_{language.short}",
        f"first `{language.magic}` cell, sent as soon as the kernel answers, to the reply",
        f"<= {ms(FIRST_MOST_S)}",
        f"{ms(median(ours))} (worst {ms(max(ours))})",
        f"ipykernel's first Python cell {ms(median(theirs))}",
        median(ours) <= FIRST_MOST_S,
        {"seconds": ours, "ipykernel_seconds": theirs},
    )


def round_trip(language: Language, runs: Runs) -> Iterator[Figure]:
    ours, theirs = [], []
    with Kernel(language.kernel) as kernel, Kernel(IPYKERNEL) as ipykernel:
        for each in (kernel.ready(), ipykernel.ready()):
            for _ in range(10):
                each.must_run(TRIVIAL)
        for _ in range(runs.of(200, quick=10)):
            ours.append(kernel.must_run(TRIVIAL).seconds)
            theirs.append(ipykernel.must_run(TRIVIAL).seconds)
    ratio = median(ours) / median(theirs)
    yield Figure(
        f"cells.round_trip_{language.short}",
        f"round trip of a trivial {language.title} cell, p50 of {len(ours)}",
        f"<= {ROUND_TRIP_MOST}x ipykernel",
        f"{ratio:.2f}x ({ms(median(ours))}, p95 {ms(percentile(ours, 0.95))})",
        f"ipykernel {ms(median(theirs))}, p95 {ms(percentile(theirs, 0.95))}",
        ratio <= ROUND_TRIP_MOST,
        {"seconds": ours, "ipykernel_seconds": theirs},
    )


MEASURES: dict[str, Measure] = {
    **{f"cells.first_{language.short}": partial(first, language) for language in LANGUAGES},
    **{f"cells.round_trip_{language.short}": partial(round_trip, language) for language in LANGUAGES},
}
