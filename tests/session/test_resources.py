"""What the host keeps for scripts: checked at every use, released exactly once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.journal import cassette_file
from llmspell_kernel.policy.limits import PRESETS
from llmspell_kernel.protocol.steps import Answer, Finished
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import ResourceRef, loads

from .test_effects import answers, asks, effect
from .test_taping import full
from .world import LIMITS, Probe, Ticker, World, world


def use(number: int, method: str, target: int, kind: str = "probe.ticker") -> Any:
    return effect(number, method, bridge=kind, target=target)


async def play(made: World, *states: str) -> World:
    for state in states or ("main",):
        outcome = await made.session.run("x", state=state)
        assert outcome.error is None
    return made


def value(answer: Answer) -> Any:
    assert answer.fault is None, answer.fault
    return loads(answer.value)


def refusal(answer: Answer) -> str:
    assert answer.fault is not None
    assert answer.fault.code == "resource"
    return answer.fault.message


def test_a_resource_is_given_as_a_typed_id_and_used_by_it() -> None:
    async def run() -> World:
        async with world([asks(effect(1, "ticker", 9)), asks(use(2, "next", 1)), asks(use(3, "next", 1)), Finished()]) as made:
            return await play(made)

    got = answers(asyncio.run(run()).fake)
    assert value(got[1]) == ResourceRef(1, "probe.ticker")
    assert (value(got[2]), value(got[3])) == (1, 2)


@pytest.mark.parametrize(
    "forged",
    [
        use(3, "next", 2),  # never given
        use(3, "next", 0),
        use(3, "next", -1),
        use(3, "next", 2**70),
        use(3, "next", 1, "probe.other"),  # of another type
        use(3, "next", 1, "probe"),
        use(3, "next", 1, "nowhere"),
    ],
)
def test_a_forged_id_or_a_wrong_type_is_refused_and_reaches_nothing(forged: Any) -> None:
    async def run() -> World:
        async with world([asks(effect(1, "ticker", 9)), asks(effect(2, "other")), Finished(), asks(forged), Finished()]) as made:
            return await play(made, "main", "main")

    done = asyncio.run(run())
    got = answers(done.fake)[3].fault
    assert got is not None
    assert done.probe.tickers[0]._at == 0


def test_the_id_of_another_state_is_refused_in_the_words_of_a_closed_one() -> None:
    async def run() -> World:
        first = [asks(effect(1, "ticker", 9)), asks(use(2, "close", 1)), asks(use(3, "next", 1)), asks(effect(4, "ticker", 9)), Finished()]
        async with world(first, [asks(use(1, "next", 2)), Finished()]) as made:
            return await play(made, "a", "b")

    done = asyncio.run(run())
    closed, foreign = refusal(answers(done.fakes[0])[3]), refusal(answers(done.fakes[1])[1])
    assert closed == foreign
    assert done.probe.tickers[1]._at == 0


def test_use_after_close_is_refused() -> None:
    async def run() -> World:
        async with world([asks(effect(1, "ticker", 9)), asks(use(2, "close", 1)), asks(use(3, "next", 1)), Finished()]) as made:
            return await play(made)

    done = asyncio.run(run())
    assert "is closed" in refusal(answers(done.fake)[3])
    assert done.probe.tickers[0].released == 1


def test_the_end_of_its_iteration_releases_a_resource_once() -> None:
    async def run() -> World:
        script = [asks(effect(1, "ticker", 1)), asks(use(2, "next", 1)), asks(use(3, "next", 1)), asks(use(4, "next", 1)), Finished()]
        async with world(script) as made:
            return await play(made)

    done = asyncio.run(run())
    got = answers(done.fake)
    assert (value(got[2]), value(got[3])) == (1, None)
    refusal(got[4])
    assert done.probe.tickers[0].released == 1


def test_the_end_of_a_state_releases_what_it_held_exactly_once() -> None:
    async def run() -> World:
        script = [asks(effect(1, "ticker", 9)), asks(effect(2, "ticker", 9)), asks(use(3, "close", 1)), Finished()]
        async with world(script) as made:
            await play(made)
            assert [ticker.released for ticker in made.probe.tickers] == [1, 0]
            await made.session.forget("main", "lua")
            assert [ticker.released for ticker in made.probe.tickers] == [1, 1]
            return made

    assert [ticker.released for ticker in asyncio.run(run()).probe.tickers] == [1, 1]


def test_a_lost_workers_resources_are_released_when_its_state_gets_a_new_one() -> None:
    async def run() -> World:
        async with world([asks(effect(1, "ticker", 9)), Finished()], [Finished()]) as made:
            await play(made)
            made.fake.lose("it was shot")
            await play(made)
            return made

    assert asyncio.run(run()).probe.tickers[0].released == 1


def test_a_resource_that_fails_to_close_keeps_no_other_from_closing() -> None:
    told: list[dict[str, Any]] = []

    async def run() -> World:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        probe = Probe()
        probe.release_error = OSError("stuck")
        async with world([asks(effect(1, "ticker", 9)), asks(effect(2, "ticker", 9)), Finished()], probe=probe) as made:
            await play(made)
            await made.session.close()
            assert not made.fake.alive
            return made

    done = asyncio.run(run())
    assert [ticker.released for ticker in done.probe.tickers] == [1, 1]
    assert [context["exception"] for context in told] == [done.probe.release_error] * 2


@pytest.mark.parametrize("end", ["loop", "close"])
@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_a_stream_tells_its_text_and_usage_after_its_end(engine: str, end: str) -> None:
    code = {
        "lua": {
            "loop": "local s = llm.stream('a b') for _ in s do end return s:text(), s:usage().output_tokens",
            "close": "local s = llm.stream('a b') s:text() s:close() return s:text(), s:usage().output_tokens",
        },
        "javascript": {
            "loop": "const s = await llm.stream('a b'); for await (const _ of s) {} [await s.text(), (await s.usage()).output_tokens]",
            "close": "const s = await llm.stream('a b'); await s.text(); await s.close(); [await s.text(), (await s.usage()).output_tokens]",
        },
    }[engine][end]
    after = {"lua": "return kept:next()", "javascript": "await kept.next()"}[engine]
    keep = {"lua": "kept = llm.stream('a') kept:close()", "javascript": "kept = await llm.stream('a'); await kept.close()"}[engine]

    async def run() -> None:
        async with world() as made:
            await made.session.call_bridge("llm", "set_model", "spell/echo")
            outcome = await made.session.run(code, engine=engine)
            assert outcome.error is None, outcome.error
            assert [*outcome.values] in (["echo: a b", 3], [["echo: a b", 3]])
            await made.session.run(keep, engine=engine)
            closed = await made.session.run(after, engine=engine)
            assert closed.error is not None and closed.error.code == "resource", "only what lasts"
            assert len(made.session.resources) == 0

    asyncio.run(run())


FAILS = {"lua": "return pcall({call})", "javascript": "await {call}.then(() => true, () => false)"}


@pytest.mark.parametrize("engine", ["lua", "javascript"])
@pytest.mark.parametrize("way", ["too many", "too large"])
def test_what_an_answer_had_opened_before_it_failed_is_closed(engine: str, way: str) -> None:
    call = {
        "too many": {"lua": "probe.tickers_of, 3", "javascript": "probe.tickersOf(3)"},
        "too large": {"lua": "probe.give", "javascript": "probe.give()"},
    }[way][engine]

    async def run() -> None:
        async with world(limits=LIMITS._replace(resources=1, value_bytes=5_000)) as made:
            made.probe.tickers.append(Ticker(made.probe, 9))
            made.probe.answer = {"ticker": made.probe.tickers[0], "text": "x" * 10_000}
            outcome = await made.session.run(FAILS[engine].format(call=call), engine=engine)
            assert outcome.error is None and outcome.values[0] is False
            assert len(made.session.resources) == 0
            opened = made.probe.tickers if way == "too large" else made.probe.tickers[1:]
            assert [ticker.released for ticker in opened] == [1] * len(opened)
            again = {"lua": "t = probe.ticker(9) return t:next()", "javascript": "t = await probe.ticker(9); await t.next()"}[engine]
            assert (await made.session.run(again, engine=engine)).values == [1]

    asyncio.run(run())


@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_a_stream_whose_call_could_not_be_recorded_is_closed(engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = {"lua": "return pcall(llm.stream, 'a b c')", "javascript": "await llm.stream('a b c').then(() => true, () => false)"}[engine]

    async def run() -> None:
        async with world(settings=Settings(model="spell/echo")) as made:
            made.session.tape("record", tmp_path / "n.cassette.jsonl")
            with monkeypatch.context() as patch:
                patch.setattr(cassette_file, "replace_file", full)
                outcome = await made.session.run(code, engine=engine)
            assert outcome.error is None and outcome.values[0] is False
            assert len(made.session.resources) == 0

    asyncio.run(run())


@pytest.mark.parametrize("engine", ["lua", "javascript"])
def test_a_resumed_cell_that_fails_again_closes_nothing_of_a_state_that_is_there(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "n.states.jsonl"
    fails = {"lua": "error('x')", "javascript": "throw new Error('x')"}[engine]
    opens = {"lua": "t = probe.ticker(9)", "javascript": "t = await probe.ticker(9)"}[engine]
    ticks = {"lua": "return t:next()", "javascript": "await t.next()"}[engine]
    limits = PRESETS["standard"]

    async def run() -> None:
        async with world(limits=limits) as first:
            assert (await first.session.run(fails, engine=engine)).error is not None
            first.session.save(file)
        async with world(limits=limits) as second:
            assert (await second.session.run(opens, engine=engine, state="there")).cell == 1
            await second.session.resume(file)
            assert (await second.session.run(ticks, engine=engine, state="there")).values == [1]

    asyncio.run(run())
