"""Hooks that never end, that change a call into another one or reach for what is not theirs; patterns, texts and queries that attack."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from llmspell_kernel.errors import ScriptError, SpellError
from llmspell_kernel.journal.events import CallStarted
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.memory.conversations import Conversations
from llmspell_kernel.services.memory.word_search import MOST_WORDS, WordIndex, expression
from llmspell_kernel.settings import Settings

from ..bridges.test_hooks import ECHO, every_engine, every_pair, hooked, run

ENDLESS = ("hooks.before('probe.echo', function() while true do end end)", "await hooks.before('probe.echo', () => { for (;;); })")
ASLEEP = (
    "hooks.before('probe.echo', function() probe.hang() end)",
    "await hooks.before('probe.echo', async () => { await probe.hang() })",
)


@every_pair
def test_a_hook_that_never_ends_meets_the_limits_and_both_states_go_on(owner: str, user: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path, settings=Settings(limits={"script_time_s": 0.3})) as (session, probe, _):
            await run(session, owner, "mine = 1; " + ENDLESS[0], "let mine = 1; " + ENDLESS[1])
            with pytest.raises(ScriptError, match=r"the hook .* failed: .*more than its 0.3 s"):
                await run(session, user, *ECHO, state="other")
            assert probe.calls == []
            assert await run(session, user, "1", "1", state="other") == [1]
            assert await run(session, owner, "mine", "mine") == [1]

    asyncio.run(play())


@every_engine
def test_a_hook_that_never_ends_in_its_own_cell_ends_with_it(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path, settings=Settings(limits={"script_time_s": 0.3})) as (session, _, _):
            await run(session, engine, *ENDLESS)
            with pytest.raises(SpellError, match=r"more than its 0.3 s"):
                await run(session, engine, *ECHO)

    asyncio.run(play())


@every_pair
def test_a_hook_that_waits_for_ever_is_ended_by_a_stop_and_by_the_total_time(owner: str, user: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path, settings=Settings(limits={"total_time_s": 1.0})) as (session, probe, _):
            await run(session, owner, *ASLEEP)
            with pytest.raises(SpellError, match=r"1 s|stopped"):
                await run(session, user, *ECHO, state="other")
            session.configure(Settings())
            probe.waiting.clear()
            cell = asyncio.ensure_future(run(session, user, *ECHO, state="other"))
            await probe.waiting.wait()
            session.interrupt()
            with pytest.raises(SpellError, match="stopped"):
                await cell
            assert probe.calls == []

    asyncio.run(play())


@every_engine
def test_a_hook_that_spawns_calls_of_its_own_starts_no_chain(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path, settings=Settings(limits={"effects": 60})) as (session, probe, _):
            await run(
                session,
                engine,
                "hooks.before('probe.echo', function() async.spawn(function() probe.echo('again') end) end)",
                "await hooks.before('probe.echo', () => { probe.echo('again') })",
            )
            await run(session, engine, *ECHO)
            await session.background_ended()
            assert len(probe.calls) == 2

    asyncio.run(play())


@every_pair
def test_no_hook_forges_a_thing_or_a_function_of_another_state(owner: str, user: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(session, user, "t = probe.ticker(5)", "var t = await probe.ticker(5)", state="other")
            forged = ("{['$'] = {'r', 1, 'probe.ticker'}}", "{'$': ['r', 1, 'probe.ticker']}")
            (name,) = await run(
                session,
                owner,
                f"hooks.before('probe.peek', function() return {{arguments = {{{forged[0]}}}}} end)",
                f"await hooks.before('probe.peek', () => ({{arguments: [{forged[1]}]}}))",
            )
            assert await run(session, user, "probe.peek(t)", "await probe.peek(t)", state="other") == [0]  # the ticker stays
            with pytest.raises(ScriptError, match="argument 1"):
                await run(session, user, "probe.peek(5)", "await probe.peek(5)", state="other")
            await run(session, owner, f"hooks.remove('{name}')", f"await hooks.remove('{name}')")
            await run(
                session,
                owner,
                f"hooks.after('probe.echo', function() return {{value = {forged[0]}}} end)",
                f"await hooks.after('probe.echo', () => ({{value: {forged[1]}}}))",
            )
            ((value),) = await run(session, user, *ECHO, state="other")
            assert value == {"$": ["r", 1, "probe.ticker"]}  # data

    asyncio.run(play())


@every_engine
def test_hooks_are_counted_and_each_call_of_theirs_is_in_the_journal(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            with pytest.raises(SpellError, match="there are 200 hooks"):
                await run(
                    session,
                    engine,
                    "for i = 1, 300 do hooks.before('probe.echo', function() end) end",
                    "for (let i = 0; i < 300; i++) await hooks.before('probe.echo', () => {})",
                )
            await run(session, engine, *ECHO)
            started = [event for event in session.recorder if isinstance(event, CallStarted)]
            assert sum((event.bridge, event.method, event.arguments[1:]) == ("hooks", "before", ["probe.echo"]) for event in started) == 200

    asyncio.run(play())


@every_engine
def test_a_pattern_that_backtracks_stops_the_call_and_not_the_kernel(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with hooked(tmp_path) as (session, _, _):
            await run(
                session,
                engine,
                "guardrails.add{name = 'bomb', on = 'input', check = {regex = '(a|aa)+$'}}",
                "await guardrails.add({name: 'bomb', on: 'input', check: {regex: '(a|aa)+$'}})",
            )
            started, ticks = time.monotonic(), 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.05)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            with pytest.raises(ScriptError, match="'bomb' could not look at llm.chat.*backtracks") as raised:
                await run(session, engine, "llm.chat(('a'):rep(60) .. 'b')", "await llm.chat('a'.repeat(60) + 'b')")
            ticking.cancel()
            assert raised.value.code == "guardrail_failed"
            assert time.monotonic() - started < 10
            assert ticks >= 5

    asyncio.run(play())


INJECTIONS = [
    '"',
    '" OR text:"',
    "a NEAR b",
    "NOT",
    "text: x",
    "{text} : x",
    "x* ^y",
    "');DROP TABLE texts;--",
    "\0",
    "()" * 5000,
    '"' * 9999,
    "AND OR NOT NEAR",
    "-x +y",
    "é\u0301\u202e",
]


@pytest.mark.parametrize("query", INJECTIONS)
def test_no_query_speaks_the_language_of_the_index(query: str) -> None:
    index = WordIndex()
    index.add([(1, "near text and x"), (2, "or not")])
    index.find(query, 10)
    assert [hit.number for hit in index.find("near", 10)] == [1]
    wanted = expression(query)
    assert wanted.count('"') % 2 == 0 and wanted.count('"') <= 2 * MOST_WORDS


def test_a_hundred_thousand_messages_are_added_searched_fitted_and_counted_in_time(tmp_path: Path) -> None:
    kept = Conversations(tmp_path, lambda: FilePolicy(max_keys=100_001))
    for start in range(0, 100_000, 1_000):
        kept.add("talk", [("user", f"message {number} of many words") for number in range(start + 1, start + 1_001)])
    started = time.process_time()
    assert kept.count("talk") == 100_000
    assert [(message.number, score > 0) for message, score in kept.search("talk", "99999", 5)] == [(99_999, True)]
    first = time.process_time() - started
    started = time.process_time()
    assert len(kept.search("talk", "words", 100)) == 100
    _, fitting, left_out = kept.fitting("talk", 1_000)
    assert fitting[-1].number == 100_000 and 50 < len(fitting) < 150 and left_out == 1_000
    later = time.process_time() - started
    kept.close()
    assert first < 20 and later < 2


def test_a_strangers_database_gives_no_functions_and_no_code(tmp_path: Path) -> None:
    kept = Conversations(tmp_path, FilePolicy)
    kept.add("talk", [("user", "x")])
    kept._keys.set("m/talk/0000000002", {"role": "user", "text": {"no": "text"}})
    kept._keys.set("s/talk", {"text": "x", "through": "many"})
    for read in (lambda: kept.search("talk", "x", 5), lambda: kept.fitting("talk", 100), lambda: kept.newest("talk", 5)):
        with pytest.raises(SpellError):
            read()
    assert kept.clear("talk") == 2
    kept.close()
