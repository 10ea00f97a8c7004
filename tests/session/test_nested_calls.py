"""What a script function asks while a call runs it is a call within that call: in the journal, and in the trace."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.journal.events import CallDenied, CallStarted
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.render.journal import trace_text

from .world import World, world

NESTED = {
    "lua": """
        probe.echo("before")
        probe.apply(function() probe.echo("in") probe.apply(function() return probe.echo("deep") end) return probe.echo("again") end)
        probe.echo("after")
    """,
    "javascript": """
        await probe.echo("before");
        await probe.apply(async () => {
          await probe.echo("in"); await probe.apply(async () => await probe.echo("deep")); return await probe.echo("again") });
        await probe.echo("after");
    """,
}
AT_ONCE = {
    "lua": """
        local function within(name) return function()
          probe.apply(function() for i = 1, 20 do probe.echo(name) probe.echo(name) end end)
        end end
        async.all({within("a"), within("b"), function() for i = 1, 40 do probe.echo("none") end end})
    """,
    "javascript": """
        const within = name => probe.apply(async () => {
          for (let i = 0; i < 20; i++) await Promise.all([probe.echo(name), probe.echo(name)]) });
        await Promise.all([within("a"), within("b"), (async () => { for (let i = 0; i < 40; i++) await probe.echo("none") })()]);
    """,
}
LEFT = {
    "lua": """
        async.join({async.spawn(function()
          probe.apply(function() left = async.spawn(function() probe.wait(0.05) probe.echo("late") end) end)
        end)})
        left:await()
    """,
    "javascript": """
        let left; await probe.apply(() => { left = (async () => { await probe.wait(0.05); await probe.echo("late") })() });
        await left;
    """,
}
every_engine = pytest.mark.parametrize("engine", sorted(NESTED))


def parents(made: World) -> list[tuple[Any, Any]]:
    """Of each `echo`, by what it echoed: the name and number of the call that it was asked within."""
    started = {event.call: event for event in made.events(CallStarted)}
    of = {None: None, **{number: f"{event.method} {number}" for number, event in started.items()}}
    return [(event.arguments[0], of[event.parent]) for event in started.values() if event.method == "echo"]


async def run(made: World, code: str, engine: str) -> None:
    outcome = await made.session.run(code, engine=engine)
    assert outcome.error is None, outcome.error


@every_engine
def test_a_call_that_a_script_function_makes_has_the_call_that_runs_the_function_as_its_parent(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            await run(made, NESTED[engine], engine)
            assert parents(made) == [("before", None), ("in", "apply 2"), ("deep", "apply 4"), ("again", "apply 2"), ("after", None)]
            outer, inner = (event for event in made.events(CallStarted) if event.method == "apply")
            assert (outer.parent, inner.parent) == (None, outer.call)

    asyncio.run(play())


@every_engine
def test_calls_that_run_at_once_are_each_within_the_call_that_asked_them(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            await run(made, AT_ONCE[engine], engine)
            found = parents(made)
            within = {name: {parent for said, parent in found if said == name} for name in ("a", "b", "none")}
            assert {len(one) for one in within.values()} == {1} and len(found) == 120
            assert within["none"] == {None} and within["a"] != within["b"] and None not in within["a"] | within["b"]

    asyncio.run(play())


@every_engine
def test_what_goes_on_after_a_call_has_ended_is_within_it_no_more(engine: str) -> None:
    async def play() -> None:
        async with world() as made:
            await run(made, LEFT[engine], engine)
            (waited,) = (event for event in made.events(CallStarted) if event.method == "wait")
            assert waited.parent is not None
            assert parents(made) == [("late", None)]

    asyncio.run(play())


@every_engine
def test_a_denied_call_stands_in_the_trace_within_the_call_that_asked_it(engine: str) -> None:
    async def play() -> None:
        async with world(grants=Grants(deny=("probe.count",))) as made:
            code = {
                "lua": "probe.apply(function() probe.echo(1) pcall(probe.count, 2) end)",
                "javascript": "await probe.apply(async () => { await probe.echo(1); try { await probe.count(2) } catch (e) {} })",
            }
            await run(made, code[engine], engine)
            (denied,) = made.events(CallDenied)
            assert denied.parent == made.events(CallStarted)[0].call
            lines = [line for line in trace_text(made.events()).splitlines() if set(line) & set("✓⊘")]
            assert [line[: line.index("probe.")] for line in lines] == ["└─ ✓ ", "   ├─ ✓ ", "   └─ ⊘ "]

    asyncio.run(play())
