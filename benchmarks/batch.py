"""What `llm.batch` adds to many questions at once, beside the same calls of litellm under one semaphore."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

from bridge import run_cell
from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable, median, ms
from provider import provider

from llmspell_kernel.services.llm.litellm_library import GUARDS
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings

PROMPTS, AT_ONCE, ANSWER_S, MOST = 1_000, 100, 0.05, 1.15
MODEL = "openai/bench"
ANSWER = "The quick brown fox jumps."
BATCH = {
    "lua": (
        'local prompts = {{}}\nfor i = 1, {n} do prompts[i] = "hello " .. i end\nlocal right = 0\n'
        "for _, one in ipairs(llm.batch(prompts, {{concurrency = {at_once}}})) do if one.text == '{answer}' then right = right + 1 end end\n"
        "return right"
    ),
    "js": (
        "const prompts = Array.from({{ length: {n} }}, (_, i) => 'hello ' + i);\n"
        "(await llm.batch(prompts, {{ concurrency: {at_once} }})).filter(one => one.text === '{answer}').length"
    ),
}


async def plain(litellm: Any, prompts: int) -> float:
    """Seconds that the same calls take in Python."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def chat(number: int) -> str:
        async with turn:
            source = await litellm.acompletion(
                model=MODEL,
                messages=[{"role": "user", "content": f"hello {number}"}],
                stream=True,
                stream_options={"include_usage": True},
                timeout=60,
                max_retries=0,
                num_retries=0,
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in source if chunk.choices])

    started = time.perf_counter()
    answers = await asyncio.gather(*(chat(number) for number in range(prompts)))
    taken = time.perf_counter() - started
    if set(answers) != {ANSWER}:
        raise Unmeasurable(f"litellm answered {set(answers)}")
    return taken


async def samples(language: Language, prompts: int, rounds: int) -> tuple[list[float], list[float]]:
    litellm = import_module("litellm")
    litellm.suppress_debug_info = True
    ours, theirs = [], []
    code = BATCH[language.short].format(n=prompts, at_once=AT_ONCE, answer=ANSWER)
    async with Session(settings=Settings(model=MODEL)) as session:
        await run_cell(session, language, BATCH[language.short].format(n=20, at_once=AT_ONCE, answer=ANSWER))
        await plain(litellm, 20)
        for _ in range(rounds):
            theirs.append(await plain(litellm, prompts))
            outcome = await run_cell(session, language, code)
            if outcome.values != [prompts]:
                raise Unmeasurable(f"{prompts} prompts gave {outcome.values} right answers")
            ours.append(outcome.duration_s)
    return ours, theirs


def batch(language: Language, runs: Runs) -> Iterator[Figure]:
    prompts, rounds = runs.of(PROMPTS, quick=50), runs.of(6, quick=1)
    with provider(ANSWER_S) as address:
        before = dict(os.environ)
        os.environ.update({**GUARDS, "OPENAI_API_BASE": address, "OPENAI_API_KEY": "bench", "NO_PROXY": "127.0.0.1"})
        try:
            ours, theirs = asyncio.run(samples(language, prompts, rounds))
        finally:
            os.environ.clear()
            os.environ.update(before)
    ratio = median([mine / plain for mine, plain in zip(ours, theirs, strict=True)])
    yield Figure(
        f"batch.{language.short}",
        f"`llm.batch` of {prompts:,} prompts in {language.title} on a provider answering in 50 ms, {AT_ONCE} at once",
        f"<= {MOST:g} of litellm in Python",
        f"{ratio:.2f} ({ms(median(ours))})",
        f"`litellm.acompletion` under one semaphore {ms(median(theirs))}",
        ratio <= MOST,
        {"seconds": ours, "python_seconds": theirs},
    )


MEASURES: dict[str, Measure] = {f"batch.{language.short}": partial(batch, language) for language in LANGUAGES}
