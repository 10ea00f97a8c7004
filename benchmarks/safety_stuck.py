"""Scripts stuck in native code, where no hook of the language is asked: how long after its deadline a cell is answered, and the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from attack_texts import chosen
from figures import JAVASCRIPT, LANGUAGES, LUA, Figure, Language, Measure, Runs, Unmeasurable, ms, percentile
from kernel_client import Kernel

DEADLINE_S = 0.3
LATE_P99_S, LATE_MOST_S = 0.3, 1.0
NEXT_P95_S = 0.15
KINDS = {
    LUA: (
        "a-pattern-that-backtracks",
        "a-pattern-of-many-stars",
        "nested-matching-pairs",
        "replace-in-a-text-that-backtracks",
        "every-match-of-what-backtracks",
        "a-frontier-before-many-stars",
        "find-a-text-in-a-text-of-its-letters",
    ),
    JAVASCRIPT: (
        "an-empty-list-of-a-thousand-million",
        "move-what-is-not-there",
        "sort-what-claims-to-be-long",
        "a-power-of-big-integers",
        "write-json-of-a-large-list",
        "join-what-claims-to-be-long",
        "reverse-what-claims-to-be-long",
        "replace-in-a-text-that-backtracks",
        "every-match-of-what-backtracks",
        "a-frontier-before-many-stars",
        "find-a-text-in-a-text-of-its-letters",
    ),
}


class Answered(NamedTuple):
    """Seconds from the deadline to the reply, and from sending the next cell to its reply."""

    late_s: float
    next_s: float


def stick(kernel: Kernel, code: str) -> Answered:
    stuck = kernel.run(code)
    if stuck.reply.get("ename") != "LimitError":
        raise Unmeasurable(f"{code!r} ended with {stuck.reply['status']} {stuck.reply.get('ename', '')}: {stuck.reply.get('evalue', '')}")
    following = kernel.must_run("1 + 1")
    if following.result != "2":
        raise Unmeasurable(f"the next cell gave {following.result}")
    return Answered(stuck.seconds - DEADLINE_S, following.seconds)


def answered(language: Language, kinds: Sequence[str], runs: Runs) -> list[Answered]:
    cells = chosen(language, kinds, "native", "stuck")
    found = []
    with Kernel(language.kernel) as kernel:
        kernel.ready().must_run(f"%llmspell config limits.script_time_s={DEADLINE_S}")
        kernel.must_run("1 + 1")
        for _ in range(runs.of(30, quick=1)):
            found += [stick(kernel, *code) for code in cells.values()]
    return found


def stuck(language: Language, runs: Runs) -> Iterator[Figure]:
    kinds = KINDS[language][: runs.of(len(KINDS[language]), quick=2)]
    found = answered(language, kinds, runs)
    late, following = [each.late_s for each in found], [each.next_s for each in found]
    yield Figure(
        f"stuck.late_{language.short}",
        f"{len(kinds)} kinds of native code that {language.title} is stuck in, {len(found)} cells with a deadline of {ms(DEADLINE_S)}: "
        "the reply after the deadline",
        f"p99 <= {ms(LATE_P99_S)}, never over {ms(LATE_MOST_S)}",
        f"p50 {ms(percentile(late, 0.5))}, p99 {ms(percentile(late, 0.99))}, worst {ms(max(late))}",
        "of which the grace of a soft stop 100 ms",
        percentile(late, 0.99) <= LATE_P99_S and max(late) <= LATE_MOST_S,
        {"seconds": late},
    )
    yield Figure(
        f"stuck.next_{language.short}",
        f"the {language.title} cell after such a kill, in a new state on the spare worker, to its reply",
        f"p95 <= {ms(NEXT_P95_S)}",
        f"p50 {ms(percentile(following, 0.5))}, p95 {ms(percentile(following, 0.95))}, worst {ms(max(following))}",
        "",
        percentile(following, 0.95) <= NEXT_P95_S,
        {"seconds": following},
    )


MEASURES: dict[str, Measure] = {f"stuck.{language.short}": partial(stuck, language) for language in LANGUAGES}
