"""The stop button: how long a loop and a waiting call take to end, and whether the state is still there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable, median, ms
from kernel_client import IPYKERNEL, Kernel


class Endless(NamedTuple):
    title: str
    most_s: float
    code: dict[str, str]


KINDS = {
    "loop": Endless("endless loop", 0.3, {"lua": "while true do end", "js": "while (true) {}", "python": "while True: pass"}),
    "wait": Endless("waiting call", 0.1, {"lua": "sleep(60)", "js": "await sleep(60)", "python": "import time; time.sleep(60)"}),
}
KEEP = {"lua": "kept = 42", "js": "var kept = 42", "python": "kept = 42"}
RUNNING_S = 0.3
"""How long a cell runs before it is stopped: its worker is surely in the loop by then."""


def stop_once(kernel: Kernel, code: str) -> float:
    seconds, reply = kernel.interrupt_after(code, RUNNING_S)
    if reply["status"] != "error" or reply.get("ename") != "KeyboardInterrupt":
        raise Unmeasurable(f"{kernel.name} answered the interrupt with {reply['status']} {reply.get('ename', '')}")
    return seconds


def stopped(kind: str, language: Language, runs: Runs) -> Iterator[Figure]:
    endless = KINDS[kind]
    ours, theirs, kept = [], [], 0
    with Kernel(language.kernel) as kernel, Kernel(IPYKERNEL) as ipykernel:
        kernel.ready().must_run(KEEP[language.short])
        ipykernel.ready().must_run(KEEP["python"])
        for _ in range(runs.of(10, quick=1)):
            ours.append(stop_once(kernel, endless.code[language.short]))
            kept += kernel.run("kept").result == "42"
            theirs.append(stop_once(ipykernel, endless.code["python"]))
    yield Figure(
        f"interrupt.{kind}_{language.short}",
        f"{endless.title} in {language.title} interrupted, to the reply",
        f"<= {ms(endless.most_s)}, state kept",
        f"{ms(median(ours))} (worst {ms(max(ours))}), state kept in {kept} of {len(ours)}",
        f"ipykernel {ms(median(theirs))} (worst {ms(max(theirs))})",
        max(ours) <= endless.most_s and kept == len(ours),
        {"seconds": ours, "ipykernel_seconds": theirs},
    )


MEASURES: dict[str, Measure] = {
    f"interrupt.{kind}_{language.short}": partial(stopped, kind, language) for kind in KINDS for language in LANGUAGES
}
