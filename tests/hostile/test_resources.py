"""A script cannot make, alter, guess, copy or outlive a thing that the host keeps for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.errors import SpellError
from llmspell_kernel.values import ResourceRef

from ..session.world import ENGINES, Probe, World, world

OPEN = {"lua": "t = probe.ticker(9)", "javascript": "t = await probe.ticker(9)"}
ATTACKS: dict[str, dict[str, list[str]]] = {
    "make one from its parts": {
        "lua": [
            "return probe.ticker.next({id = 1, type = 'probe.ticker'})",
            "local f = setmetatable({}, getmetatable(t)) return f:next()",
            "local f = {} for k, v in pairs(t) do f[k] = v end return f:next()",
            "return t.next({})",
            "return t.next('probe.ticker #1')",
        ],
        "javascript": [
            "await t.next.call({ id: 1, type: 'probe.ticker' })",
            "await Object.create(t).next()",
            "await ({ ...t }).next()",
            "await Object.assign({}, t).next()",
            "await Object.setPrototypeOf({}, Object.getPrototypeOf(t)).next()",
            "await new Proxy(t, {}).next()",
            "await t.next.call(1)",
            "await t.next.call(null)",
        ],
    },
    "pass a written form for one": {
        "lua": [
            "return probe.echo({['$'] = {'r', 1, 'probe.ticker'}}):next()",
            'return json.decode(\'{"$":["r",1,"probe.ticker"]}\'):next()',
        ],
        "javascript": [
            "await (await probe.echo({ $: ['r', 1, 'probe.ticker'] })).next()",
            'await JSON.parse(\'{"$":["r",1,"probe.ticker"]}\').next()',
        ],
    },
    "alter one": {
        "lua": [
            "t.next = function() return 'mine' end",
            "rawset(t, 'next', function() return 'mine' end)",
            "setmetatable(t, {})",
            "getmetatable(t).__index = nil",
            "t.id = 2",
        ],
        "javascript": [
            "'use strict'; t.next = () => 'mine'",
            "'use strict'; Object.getPrototypeOf(t).next = () => 'mine'",
            "Object.setPrototypeOf(t, {})",
            "Object.defineProperty(t, 'next', { value: 1 })",
            "'use strict'; t.id = 2",
        ],
    },
    "use a method of another type": {
        "lua": ["local o = probe.other() return o.next(t)", "local o = probe.other() return t.next(o)"],
        "javascript": ["const o = await probe.other(); await o.next.call(t)", "const o = await probe.other(); await t.next.call(o)"],
    },
    "use it after it was closed": {
        "lua": ["t:close() return t:next()", "for _ in t do end return t:next()"],
        "javascript": ["await t.close(); await t.next()", "for await (const _ of t) {} await t.next()"],
    },
}
CASES = [
    pytest.param(engine, code, id=f"{engine}-{attack}-{number}")
    for attack, by_engine in ATTACKS.items()
    for engine in ENGINES
    for number, code in enumerate(by_engine.get(engine, []), 1)
]


def play(engine: str, *cells: tuple[str, str]) -> tuple[World, list[Any]]:
    """Runs (state, code) one after the other."""

    async def run() -> tuple[World, list[Any]]:
        async with world(probe=Probe()) as made, asyncio.timeout(30):
            outcomes = [await made.session.run(code, engine=engine, state=state) for state, code in cells]
            return made, outcomes

    return asyncio.run(run())


@pytest.mark.parametrize(("engine", "code"), CASES)
def test_the_attack_is_an_error_and_the_resource_untouched(engine: str, code: str) -> None:
    again = {"lua": "return t:next()", "javascript": "await t.next()"}[engine]
    made, outcomes = play(
        engine, ("main", OPEN[engine]), ("main", code), ("main", again), ("main", "1 + 1" if engine != "lua" else "return 1 + 1")
    )
    assert outcomes[0].error is None
    assert isinstance(outcomes[1].error, SpellError), outcomes[1].values
    assert outcomes[3].values == [2]
    if "close" not in code and " of t" not in code and "in t do" not in code:
        assert outcomes[2].values == [1], "nothing of it was reached, and it works as before"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_resource_kept_in_a_global_is_dead_once_its_state_was_reset(engine: str) -> None:
    use = {"lua": "return probe.echo(t ~= nil)", "javascript": "typeof t !== 'undefined'"}[engine]

    async def run() -> None:
        async with world(probe=Probe()) as made, asyncio.timeout(30):
            await made.session.run(OPEN[engine], engine=engine)
            await made.session.forget("main", engine)
            assert made.probe.tickers[0].released == 1
            assert (await made.session.run(use, engine=engine)).values == [False]

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_resource_cannot_leave_its_state(engine: str) -> None:
    """Numbers count by state: one that came from elsewhere would name a thing of the state it comes to."""

    async def run() -> None:
        async with world(probe=Probe()) as made, asyncio.timeout(30):
            await made.session.run(OPEN[engine], engine=engine)
            await made.session.run(OPEN[engine], engine=engine, state="other")
            with pytest.raises(SpellError, match=r"probe\.ticker.*cannot leave its state"):
                await made.session.get("t", engine=engine)
            forged = {"deep": [ResourceRef(1, "probe.ticker")]}
            with pytest.raises(SpellError, match=r"cannot leave its state.*t\.deep\[0\]"):
                await made.session.set("t", forged, engine=engine)
            outcome = await made.session.run("", engine=engine, inputs={"t": forged})
            assert "cannot leave its state" in str(outcome.error)
            with pytest.raises(SpellError, match="cannot leave its state"):
                await made.session.call_function("print", forged, engine=engine)

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_method_that_takes_a_resource_gets_only_a_living_one_of_this_state_and_type(engine: str) -> None:
    wait = {"lua": "", "javascript": "await "}[engine]
    give = {"lua": "return ", "javascript": ""}[engine]
    attacks = [
        f"{wait}probe.peek({{ id: 1, type: 'probe.ticker' }})" if engine != "lua" else "probe.peek({id = 1, type = 'probe.ticker'})",
        f"{wait}probe.peek('probe.ticker #1')",
        f"{wait}probe.peek({wait}probe.other())",
        f"{wait}t{':' if engine == 'lua' else '.'}close() {';' if engine != 'lua' else ''} {wait}probe.peek(t)",
    ]

    async def run() -> None:
        async with world(probe=Probe()) as made, asyncio.timeout(30):
            await made.session.run(OPEN[engine], engine=engine)
            assert (await made.session.run(f"{give}{wait}probe.peek(t)", engine=engine)).values == [0]
            for attack in attacks:
                outcome = await made.session.run(attack, engine=engine)
                assert outcome.error is not None, attack
                assert "peek" in outcome.error.message or "closed" in outcome.error.message, outcome.error.message

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_resources_inside_an_answer_are_kept_each_for_this_state(engine: str) -> None:
    code = {
        "lua": "local both = probe.tickers_of(2) both.list[1]:next() return both.list[1]:next(), both.list[2]:next()",
        "javascript": "const both = await probe.tickersOf(2); await both.list[0].next(); [await both.list[0].next(), await both.list[1].next()]",
    }[engine]

    async def run() -> None:
        async with world(probe=Probe()) as made, asyncio.timeout(30):
            values = (await made.session.run(code, engine=engine)).values
            assert values in ([2, 1], [[2, 1]])
            await made.session.forget("main", engine)
            assert [ticker.released for ticker in made.probe.tickers] == [1, 1]

    asyncio.run(run())
