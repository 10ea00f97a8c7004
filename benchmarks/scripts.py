"""Many scripts at once, what a state takes to make, and what values and resources cost on their way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from figures import LANGUAGES, Figure, Language, Measure, Runs, Unmeasurable, median, ms
from memory import MB, open_state

from llmspell_kernel import Bridge, Context, Resource, method
from llmspell_kernel.bridges._catalogue import worker_catalogue
from llmspell_kernel.engines._registry import discover
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.session import Session
from llmspell_kernel.workers.pool import WorkerPool

SCRIPTS, SCRIPT_WAIT_S, SCRIPTS_MOST_S = 1_000, 0.05, 0.2
STATE_MOST_S = 0.003
VALUE_MOST_S = 0.010
RESOURCE_MOST = 1.2
SLEEP = {"lua": f"timer.sleep({SCRIPT_WAIT_S}) return 1", "js": f"await timer.sleep({SCRIPT_WAIT_S}); 1"}
CALLS = {
    "lua": "local c = noop.counter() for i = 1, {n} do {call} end",
    "js": "const c = await noop.counter(); for (let i = 0; i < {n}; i++) await {call}",
}
ORDINARY, METHOD = {"lua": "noop.nothing()", "js": "noop.nothing()"}, {"lua": "c:nothing()", "js": "c.nothing()"}


class Counter(Resource):
    """Something the host keeps."""

    type = "noop.counter"

    @method
    async def nothing(self, ctx: Context) -> None:
        """Does nothing."""


class Noop(Bridge):
    """Does nothing."""

    name = "noop"
    resources = (Counter,)

    @method
    async def nothing(self, ctx: Context) -> None:
        """Does nothing."""

    @method
    async def counter(self, ctx: Context) -> Counter:
        """A resource."""
        return Counter()


async def many_scripts(language: Language, scripts: int, rounds: int) -> list[float]:
    policy = WorkerPolicy(states_per_worker=scripts, recycle_cells=20 * scripts, recycle_growth_bytes=scripts * MB)  # one worker for all
    pool = WorkerPool(discover(), policy=policy, startup_s=10)
    session = Session(pool=pool)
    names = [f"script{number}" for number in range(scripts)]
    taken = []
    try:
        for name in names:
            await session.run("", engine=language.engine, state=name)
        for _ in range(rounds):
            started = time.perf_counter()
            outcomes = await asyncio.gather(*(session.run(SLEEP[language.short], engine=language.engine, state=name) for name in names))
            taken.append(time.perf_counter() - started)
            if any(outcome.values != [1] for outcome in outcomes):
                raise Unmeasurable(f"a script gave {next(outcome for outcome in outcomes if outcome.values != [1])}")
        if len(session.worker_pids) > 2:
            raise Unmeasurable(f"{len(session.worker_pids)} workers, not one and the spare")
    finally:
        await session.close()
    return taken


def concurrent_scripts(language: Language, runs: Runs) -> Iterator[Figure]:
    taken = asyncio.run(many_scripts(language, runs.of(SCRIPTS, quick=20), runs.of(7, quick=1)))
    yield Figure(
        f"scripts.concurrent_{language.short}",
        f"{SCRIPTS:,} {language.title} scripts at once, each in its state, each waiting 50 ms, one worker",
        f"<= {ms(SCRIPTS_MOST_S)}",
        f"{ms(median(taken))} (worst {ms(max(taken))})",
        f"the wait alone {ms(SCRIPT_WAIT_S)}",
        median(taken) <= SCRIPTS_MOST_S,
        {"seconds": taken},
    )


async def opened(language: Language, states: int) -> list[float]:
    session = Session()
    catalogue = json.dumps(worker_catalogue(tuple(session.declarations.values()))).encode()
    pool = WorkerPool(discover(), policy=WorkerPolicy(), startup_s=10)
    taken = []
    try:
        worker = await pool.take(keep_spare=False)
        for number in range(1, states + 1):
            started = time.perf_counter()
            await open_state(worker, language, number, catalogue)
            taken.append(time.perf_counter() - started)
    finally:
        pool.close()
        await session.close()
    return taken


def state_creation(language: Language, runs: Runs) -> Iterator[Figure]:
    taken = asyncio.run(opened(language, runs.of(200, quick=5)))
    yield Figure(
        f"scripts.state_{language.short}",
        f"a new {language.title} state in a running worker, up to its first result",
        f"<= {ms(STATE_MOST_S)}",
        f"{ms(median(taken))} (worst {ms(max(taken))})",
        "",
        median(taken) <= STATE_MOST_S,
        {"seconds": taken},
    )


def nested(bytes_: int) -> list[dict[str, Any]]:
    """Records like those of an API, about so many bytes as JSON."""
    record = {
        "id": 1,
        "name": "Ada Lovelace",
        "tags": ["a", "b"],
        "score": 0.5,
        "of": {"city": "London", "active": True, "visits": [1, 2, 3]},
    }
    return [record] * (bytes_ // len(json.dumps(record)) + 1)


VALUES = {"list": ("a list of 10,000 numbers", list(range(10_000))), "json": ("1 MB of nested JSON", nested(1_000_000))}


async def value_ways(language: Language, value: Any, rounds: int) -> tuple[list[float], list[float]]:
    session = Session()
    ways: tuple[list[float], list[float]] = ([], [])
    try:
        await session.run("", engine=language.engine)
        for _ in range(rounds + 1):
            await timed(ways[0], lambda: session.set("value", value, engine=language.engine))
            found = await timed(ways[1], lambda: session.get("value", engine=language.engine))
            if found != value:
                raise Unmeasurable("the value came back as another")
    finally:
        await session.close()
    return ways[0][1:], ways[1][1:]


async def timed(into: list[float], action: Callable[[], Awaitable[Any]]) -> Any:
    started = time.perf_counter()
    found = await action()
    into.append(time.perf_counter() - started)
    return found


def values(language: Language, kind: str, runs: Runs) -> Iterator[Figure]:
    title, value = VALUES[kind]
    into, out = asyncio.run(value_ways(language, value, runs.of(20, quick=1)))
    for way, taken in (("in", into), ("out", out)):
        yield Figure(
            f"scripts.{kind}_{way}_{language.short}",
            f"{title} {'into' if way == 'in' else 'out of'} a {language.title} state",
            f"<= {ms(VALUE_MOST_S)}",
            f"{ms(median(taken))} (worst {ms(max(taken))})",
            "",
            median(taken) <= VALUE_MOST_S,
            {"seconds": taken},
        )


async def resource_samples(language: Language, calls: int, rounds: int) -> dict[str, list[float]]:
    session = Session(bridges=[Noop()])
    taken: dict[str, list[float]] = {"ordinary": [], "method": []}
    ways = (("ordinary", ORDINARY[language.short]), ("method", METHOD[language.short]))
    try:
        for number in range(rounds + 1):
            for name, call in ways if number % 2 else ways[::-1]:
                outcome = await session.run(CALLS[language.short].format(n=calls, call=call), engine=language.engine)
                if outcome.error is not None:
                    raise Unmeasurable(str(outcome.error))
                taken[name].append(outcome.duration_s / calls)
    finally:
        await session.close()
    return {name: samples[1:] for name, samples in taken.items()}


def resource_call(language: Language, runs: Runs) -> Iterator[Figure]:
    taken = asyncio.run(resource_samples(language, runs.of(2_000, quick=50), runs.of(9, quick=2)))
    ratio = median([ours / plain for ours, plain in zip(taken["method"], taken["ordinary"], strict=True)])
    yield Figure(
        f"scripts.resource_{language.short}",
        f"a call of a resource's method in {language.title}, beside an ordinary effect",
        f"<= {RESOURCE_MOST}x",
        f"{ratio:.2f}x ({median(taken['method']) * 1e6:.0f} us)",
        f"ordinary effect {median(taken['ordinary']) * 1e6:.0f} us",
        ratio <= RESOURCE_MOST,
        taken,
    )


MEASURES: dict[str, Measure] = {
    **{f"scripts.concurrent_{language.short}": partial(concurrent_scripts, language) for language in LANGUAGES},
    **{f"scripts.state_{language.short}": partial(state_creation, language) for language in LANGUAGES},
    **{f"scripts.{kind}_{language.short}": partial(values, language, kind) for kind in VALUES for language in LANGUAGES},
    **{f"scripts.resource_{language.short}": partial(resource_call, language) for language in LANGUAGES},
}
