"""How long a kernel takes to start and answer its first cell, and what it imports for that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from figures import Figure, Measure, Runs, median, ms
from kernel_client import IPYKERNEL, Kernel

FIRST_CELLS = {"llmspell": "1 + 1", "llmspell-lua": "1 + 1", "llmspell-js": "1 + 1", IPYKERNEL: "1 + 1"}
HEAVY = ("litellm", "pydantic_ai", "langgraph")
MOST = 1.3


def seconds_to_first_reply(name: str) -> float:
    with Kernel(name) as kernel:
        kernel.reply_to(kernel.send(FIRST_CELLS[name]))
        return time.perf_counter() - kernel.started


def start(name: str, runs: Runs) -> Iterator[Figure]:
    ours, theirs = [], []
    seconds_to_first_reply(name)  # the first start after an installation compiles and reads files from the disk
    seconds_to_first_reply(IPYKERNEL)
    for _ in range(runs.of(10, quick=1)):
        ours.append(seconds_to_first_reply(name))
        theirs.append(seconds_to_first_reply(IPYKERNEL))
    ratio = median([one / other for one, other in zip(ours, theirs, strict=True)])
    yield Figure(
        f"start.{name}",
        f"`start_kernel` to the first execute reply, `{name}`",
        f"<= {MOST}x ipykernel",
        f"{ratio:.2f}x ({ms(median(ours))})",
        f"ipykernel {ms(median(theirs))}",
        ratio <= MOST,
        {"seconds": ours, "ipykernel_seconds": theirs},
    )


def imports(runs: Runs) -> Iterator[Figure]:
    question = f"import sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    with Kernel("llmspell") as kernel:
        found = kernel.ready().must_run(question).text().split()
        kernel.must_run("%%lua\nllm.chat('hello')")
        found_after = kernel.must_run(question).text().split()
    yield Figure(
        "start.imports",
        f"of {', '.join(HEAVY)}: imported by a kernel that is ready, and after `llm.chat` on `spell/echo`",
        "none",
        ", ".join([*found, *found_after]) or "none",
        "",
        not found and not found_after,
    )


MEASURES: dict[str, Measure] = {
    **{f"start.{name}": partial(start, name) for name in FIRST_CELLS if name != IPYKERNEL},
    "start.imports": imports,
}
