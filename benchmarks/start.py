"""How long a kernel takes to start and answer its first cell, and what it imports for that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from figures import Figure, Measure, Runs, median, ms
from kernel_client import IPYKERNEL, Kernel

KERNELS = ("llmspell", "llmspell-lua", "llmspell-js")
FIRST_CELL = "1 + 1"
HEAVY = ("litellm", "pydantic_ai", "langgraph")
MOST = 1.3


class Started(NamedTuple):
    """`cpu_s` is what the kernel process itself has used by then: steadier than `seconds` on a machine that does other things too."""

    seconds: float
    cpu_s: float


def first_reply(name: str) -> Started:
    with Kernel(name) as kernel:
        kernel.reply_to(kernel.send(FIRST_CELL))
        return Started(time.perf_counter() - kernel.started, kernel.cpu_s)


def start(name: str, runs: Runs) -> Iterator[Figure]:
    first_reply(name)  # the first start after an installation compiles and reads files from the disk
    first_reply(IPYKERNEL)
    pairs = [(first_reply(name), first_reply(IPYKERNEL)) for _ in range(runs.of(10, quick=1))]
    ours, theirs = ([pair[side].seconds for pair in pairs] for side in (0, 1))
    our_cpu, their_cpu = ([pair[side].cpu_s for pair in pairs] for side in (0, 1))
    ratio = median([one / other for one, other in zip(ours, theirs, strict=True)])
    yield Figure(
        f"start.{name}",
        f"`start_kernel` to the first execute reply, `{name}`",
        f"<= {MOST}x ipykernel",
        f"{ratio:.2f}x ({ms(median(ours))}, its CPU {ms(median(our_cpu))})",
        f"ipykernel {ms(median(theirs))}, its CPU {ms(median(their_cpu))}",
        ratio <= MOST,
        {"seconds": ours, "ipykernel_seconds": theirs, "cpu_seconds": our_cpu, "ipykernel_cpu_seconds": their_cpu},
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
    **{f"start.{name}": partial(start, name) for name in KERNELS},
    "start.imports": imports,
}
