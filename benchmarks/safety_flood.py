"""Ten thousand cells that nobody waits between, and a hundred megabytes printed by one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable, median, ms
from kernel_client import Kernel

from llmspell_kernel.policy.limits import PRESETS

CELLS = 10_000
PRINTED_BYTES = 100_000_000
STOP_MOST_S = 0.3
SENT_MOST_BYTES = int(1.2 * PRESETS["standard"].output_bytes)
"""The cap, and what the messages around the text take."""
PRINT = {
    "lua": {
        "large": "local s = ('x'):rep(999999) for i = 1, {bytes} // 1000000 do print(s) end",
        "small": "local s = ('x'):rep(99) for i = 1, {bytes} // 100 do print(s) end",
    },
    "js": {
        "large": "const s = 'x'.repeat(999999); for (let i = 0; i < {bytes} / 1000000; i++) {{ console.log(s); await timer.sleep(0) }}",
        "small": "const s = 'x'.repeat(99); for (let i = 0; i < {bytes} / 100; i++) console.log(s)",
    },
}
ENDLESS = {
    "lua": "local s = ('x'):rep(99) while true do print(s) end",
    "js": "const s = 'x'.repeat(99); for (;;) { for (let i = 0; i < 1000; i++) console.log(s); await timer.sleep(0) }",
}
"""JavaScript's output leaves the worker at each pause."""


def unpaced(language: Language, runs: Runs) -> Iterator[Figure]:
    cells = runs.of(CELLS, quick=200)
    with Kernel(language.kernel) as kernel:
        kernel.ready().must_run("x = 1")
        started = time.perf_counter()
        requests = [kernel.send("x = 1") for _ in range(cells)]
        idles = [kernel.next_idle() for _ in requests]
        replies = [kernel.next_reply() for _ in requests]
        seconds = time.perf_counter() - started
    in_order = sum(asked == answered == ended for asked, answered, ended in zip(requests, replies, idles, strict=True))
    yield Figure(
        f"flood.cells_{language.short}",
        f"{cells:,} {language.title} cells sent at once",
        "all answered in order, each with its idle",
        f"{in_order:,} of {cells:,} in order with their idle, in {seconds:.1f} s",
        f"{seconds / cells * 1e3:.2f} ms a cell",
        in_order == cells,
        {"seconds": [seconds]},
    )


def printed(language: Language, runs: Runs) -> Iterator[Figure]:
    bytes_ = runs.of(PRINTED_BYTES, quick=20_000_000)
    told = []
    taken: list[float] = []
    with Kernel(language.kernel) as kernel:
        kernel.ready().must_run("1 + 1")
        for code in PRINT[language.short].values():
            ran = kernel.run(code.format(bytes=bytes_))
            taken.append(ran.seconds)
            shown = sum(message.bytes for message in ran.messages)
            notice = "not shown" in ran.text() + ran.text("stderr") or ran.reply.get("ename") == "LimitError"
            told.append((shown, notice, ran.reply.get("ename", ran.reply["status"])))
            if kernel.must_run("1 + 1").result != "2":
                raise Unmeasurable("the kernel does not answer after the flood")
        stops = []
        for _ in range(runs.of(10, quick=2)):
            seconds, reply = kernel.interrupt_after(ENDLESS[language.short], 1.0)
            if reply.get("ename") != "KeyboardInterrupt":
                raise Unmeasurable(f"the interrupt was answered with {reply['status']} {reply.get('ename', '')}: {reply.get('evalue', '')}")
            stops.append(seconds)
    most = max(shown for shown, _, _ in told)
    ends = ", ".join(end for _, _, end in told)
    yield Figure(
        f"flood.output_{language.short}",
        f"{bytes_ // 1_000_000} MB printed by {language.title}, in lines of 1 MB and of 100 bytes; and printing without end, interrupted",
        f"capped with a notice, stopped within {ms(STOP_MOST_S)}",
        f"{most / 1e6:.1f} MB sent, {ends}, {ms(max(taken))}; stopped in {ms(median(stops))} (worst {ms(max(stops))})",
        "",
        all(notice for _, notice, _ in told) and most <= SENT_MOST_BYTES and max(stops) <= STOP_MOST_S,
        {"seconds": taken, "stop_seconds": stops},
    )


MEASURES: dict[str, Measure] = {
    **{f"flood.cells_{language.short}": partial(unpaced, language) for language in LANGUAGES},
    **{f"flood.output_{language.short}": partial(printed, language) for language in LANGUAGES},
}
