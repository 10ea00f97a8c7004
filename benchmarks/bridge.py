"""What a bridge adds: to a model's answer beside the same calls in plain Python, and to a call that does nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial

from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable, median, ms, percentile
from kernel_client import IPYKERNEL, Kernel
from provider import provider

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.services.llm.litellm_library import GUARDS
from llmspell_kernel.session import ExecutionResult, Session

CHATS = 200
OVERHEAD_MOST = 0.05
SEQUENTIAL_MOST_S = 150e-6
CONCURRENT, CONCURRENT_WAIT_S, CONCURRENT_MOST_S = 1_000, 0.05, 0.15
MODEL = "openai/bench"
PLAIN_PYTHON = f"""
import litellm
litellm.suppress_debug_info = True
async def chat(prompt):
    source = await litellm.acompletion(
        model="{MODEL}", messages=[{{"role": "user", "content": prompt}}], stream=True, stream_options={{"include_usage": True}},
        timeout=60, max_retries=0, num_retries=0)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in source if chunk.choices])
async def chats(n):
    for _ in range(n):
        assert await chat("hello") == "The quick brown fox jumps."
"""
CHAT = {
    "lua": '{magic}\nfor i = 1, {n} do assert(llm.chat("hello") == "The quick brown fox jumps.") end',
    "js": '{magic}\nfor (let i = 0; i < {n}; i++) if (await llm.chat("hello") !== "The quick brown fox jumps.") throw new Error("wrong answer")',
}
SEQUENTIAL = {"lua": "for i = 1, {n} do noop.nothing() end", "js": "for (let i = 0; i < {n}; i++) await noop.nothing()"}
ALL_AT_ONCE = {
    "lua": "local calls = {{}}\nfor i = 1, {n} do calls[i] = function() return noop.pause() end end\nreturn #async.all(calls)",
    "js": "(await Promise.all(Array.from({{ length: {n} }}, () => noop.pause()))).length",
}


class Noop(Bridge):
    """Does nothing, and remembers when it was asked to."""

    name = "noop"

    def __init__(self) -> None:
        self.asked: list[float] = []

    @method
    async def nothing(self, ctx: Context) -> None:
        """Does nothing."""
        self.asked.append(time.perf_counter())

    @method
    async def pause(self, ctx: Context) -> None:
        """Waits 50 ms."""
        await asyncio.sleep(CONCURRENT_WAIT_S)


def chat_overhead(language: Language, runs: Runs) -> Iterator[Figure]:
    chats, warm = runs.of(CHATS, quick=5), runs.of(20, quick=2)
    script = partial(CHAT[language.short].format, magic=language.magic)
    taken: dict[str, list[float]] = {"python": [], "static": [], "live": []}
    used: dict[str, list[float]] = {"python": [], "static": [], "live": []}
    with provider() as address:
        environment = {**GUARDS, "OPENAI_API_BASE": address, "OPENAI_API_KEY": "bench", "NO_PROXY": "127.0.0.1", "LLMSPELL_MODEL": MODEL}
        with (
            Kernel(IPYKERNEL, environment) as ipykernel,
            Kernel("llmspell", {**environment, "LLMSPELL_DISPLAY": "static"}) as static,
            Kernel("llmspell", {**environment, "LLMSPELL_DISPLAY": "live"}) as live,
        ):
            ipykernel.ready().must_run(PLAIN_PYTHON)
            rounds = (("python", ipykernel, "await chats({n})".format), ("static", static.ready(), script), ("live", live.ready(), script))
            for _, kernel, code in rounds:
                kernel.must_run(code(n=warm))
            for number in range(runs.of(6, quick=1)):
                # forwards and backwards, so that a machine that gets slower meanwhile is nobody's advantage
                for name, kernel, code in rounds if number % 2 else rounds[::-1]:
                    before = kernel.cpu_s
                    taken[name].append(kernel.must_run(code(n=chats)).seconds_in_kernel)
                    used[name].append(kernel.cpu_s - before)
    for display in ("static", "live"):
        overhead = median([ours / plain for ours, plain in zip(taken[display], taken["python"], strict=True)]) - 1
        cpu, plain_cpu = (median(used[name]) / chats for name in (display, "python"))
        yield Figure(
            f"bridge.chat_{language.short}.{display}",
            f"{chats} `llm.chat` in {language.title} on a provider answering in 20 ms, display {display}",
            f"<= {OVERHEAD_MOST:.0%} over litellm in Python",
            f"{overhead:+.1%} ({ms(median(taken[display]))}; CPU {ms(cpu)} a call)",
            f"litellm in ipykernel {ms(median(taken['python']))}; CPU {ms(plain_cpu)} a call",
            overhead <= OVERHEAD_MOST,
            {
                "seconds": taken[display],
                "python_seconds": taken["python"],
                "cpu_seconds": used[display],
                "python_cpu_seconds": used["python"],
            },
        )


async def run_cell(session: Session, language: Language, code: str) -> ExecutionResult:
    outcome = await session.run(code, engine=language.engine)
    if outcome.error is not None:
        raise Unmeasurable(str(outcome.error))
    return outcome


async def sequential_samples(language: Language, effects: int, cells: int) -> tuple[list[float], list[float], float]:
    """Seconds from each effect to the next, seconds an effect of each cell as a whole, and seconds of a direct call."""
    bridge = Noop()
    session = Session(bridges=[bridge])
    code = SEQUENTIAL[language.short].format(n=effects)
    try:
        await run_cell(session, language, code)
        between, whole = [], []
        for _ in range(cells):
            bridge.asked.clear()
            whole.append((await run_cell(session, language, code)).duration_s / effects)
            between += [later - earlier for earlier, later in zip(bridge.asked, bridge.asked[1:], strict=False)]
        started = time.perf_counter()
        for _ in range(effects):
            await Noop.nothing(bridge, None)  # type: ignore[arg-type]
        direct = (time.perf_counter() - started) / effects
    finally:
        await session.close()
    return between, whole, direct


def sequential(language: Language, runs: Runs) -> Iterator[Figure]:
    between, whole, direct = asyncio.run(sequential_samples(language, runs.of(2_000, quick=200), runs.of(10, quick=1)))
    p50 = percentile(between, 0.5)
    yield Figure(
        f"bridge.sequential_{language.short}",
        f"sequential effects of {language.title} on a no-op bridge, policy and journal on, p50 of {len(between):,}",
        f"<= {SEQUENTIAL_MOST_S * 1e6:.0f} us",
        f"{p50 * 1e6:.0f} us (p95 {percentile(between, 0.95) * 1e6:.0f} us; whole cell {median(whole) * 1e6:.0f} us each)",
        f"the method called in Python {direct * 1e6:.1f} us",
        p50 <= SEQUENTIAL_MOST_S,
        {"p50_seconds": [p50], "cell_seconds_an_effect": whole},
    )


async def concurrent_samples(language: Language, cells: int) -> tuple[list[float], list[float]]:
    session = Session(bridges=[Noop()])
    code = ALL_AT_ONCE[language.short].format(n=CONCURRENT)
    ours, plain = [], []
    try:
        for _ in range(cells + 1):
            outcome = await run_cell(session, language, code)
            if outcome.values != [CONCURRENT]:
                raise Unmeasurable(f"{CONCURRENT} effects gave {outcome.values}")
            ours.append(outcome.duration_s)
            started = time.perf_counter()
            await asyncio.gather(*(asyncio.sleep(CONCURRENT_WAIT_S) for _ in range(CONCURRENT)))
            plain.append(time.perf_counter() - started)
    finally:
        await session.close()
    return ours[1:], plain[1:]  # the first cell also made the state


def concurrent(language: Language, runs: Runs) -> Iterator[Figure]:
    ours, plain = asyncio.run(concurrent_samples(language, runs.of(10, quick=1)))
    yield Figure(
        f"bridge.concurrent_{language.short}",
        f"{CONCURRENT:,} concurrent effects of 50 ms in one {language.title} cell",
        f"<= {ms(CONCURRENT_MOST_S)}",
        f"{ms(median(ours))} (worst {ms(max(ours))})",
        f"`asyncio.gather` in Python {ms(median(plain))}",
        median(ours) <= CONCURRENT_MOST_S,
        {"seconds": ours, "python_seconds": plain},
    )


MEASURES: dict[str, Measure] = {
    **{f"bridge.chat_{language.short}": partial(chat_overhead, language) for language in LANGUAGES},
    **{f"bridge.sequential_{language.short}": partial(sequential, language) for language in LANGUAGES},
    **{f"bridge.concurrent_{language.short}": partial(concurrent, language) for language in LANGUAGES},
}
