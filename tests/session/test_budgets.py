"""Budgets around real scripts: exact with a hundred calls at once, shared by sessions, settled however an answer ends, warned of once."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.errors import BridgeError, DeniedError, LimitError
from llmspell_kernel.journal.events import AnyEvent, BudgetRefused, BudgetWarned, CallFailed, CallStarted, CallUsage, Retried
from llmspell_kernel.journal.ledger import FILE, Ledger, LedgerError
from llmspell_kernel.journal.spending import ledger as spent
from llmspell_kernel.policy.budgets import Amounts, Line, Tally
from llmspell_kernel.services.llm.models import Usage
from llmspell_kernel.services.llm.scripted import Entry, ScriptedError
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.services.llm.worst_case import ModelFacts
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.session.budgets import Account
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.openai_server import OpenAIServer, Reply

from .world import Recording

NOON = 1_800_000_000.0
ASK_MANY = {
    "lua": """
local calls = {}
for i = 1, COUNT do calls[i] = function() return pcall(llm.chat, "hi", {max_tokens = 10}) end end
local went = 0
for _, ok in ipairs(async.all(calls)) do if ok then went = went + 1 end end
return went""",
    "javascript": """
const calls = [];
for (let i = 0; i < COUNT; i++) calls.push(llm.chat("hi", {maxTokens: 10}));
(await Promise.allSettled(calls)).filter(call => call.status === "fulfilled").length""",
}
ASK = {"lua": 'return llm.chat("hi", {max_tokens = 10})', "javascript": 'await llm.chat("hi", {maxTokens: 10})'}
ENGINES = sorted(ASK)
BY_ENGINE = pytest.mark.parametrize("engine", ENGINES)


class Desk:
    """A session with the scripted model, the ledger of its folder, and what its cells were told."""

    def __init__(self, session: Session, service: LlmService, sink: Recording) -> None:
        self.session = session
        self.scripted = service.scripted
        self.sink = sink

    async def run(self, code: str, engine: str = "lua") -> ExecutionResult:
        return await self.session.run(code, engine=engine)

    def told(self, text: str) -> None:
        self.sink.write("stderr", text)

    def near(self, line: Line) -> None:
        self.told(f"{line}\n")

    def events(self, kind: type[AnyEvent]) -> list[Any]:
        return [event for event in self.session.recorder if isinstance(event, kind)]

    def warnings(self) -> list[str]:
        return [line for line in self.sink.text("stderr").splitlines() if "of the budget" in line]


def desk(folder: Path, answers: Sequence[Any] = (), *, preset: str = "standard", bridges: Sequence[Bridge] = (), **budgets: Any) -> Desk:
    service = LlmService({"LLMSPELL_MODEL": "spell/scripted"}, local_installed=False)
    service.scripted.load(answers)
    sink = Recording()
    settings = Settings(preset=preset, budgets=budgets, confinement="auto" if preset == "strict" else "off")
    session = Session(settings=settings, sink=sink, bridges=[Llm(service), *bridges], state_folder=folder, unix_time=lambda: NOON)
    return Desk(session, service, sink)


async def used(session: Session, *keys: str) -> list[float]:
    """What the session says of them."""
    found = {line.key: line.used for line in await session.budgets.report()}
    return [found[f"budgets.{key}"] for key in keys]


def in_the_ledger(folder: Path) -> Amounts:
    return Amounts(*Ledger(folder, Amounts._fields, lambda: NOON).today()[1])


@BY_ENGINE
@pytest.mark.parametrize("span", ["cell", "session", "day"])
@pytest.mark.parametrize("measure", ["requests", "tokens", "cost_usd"])
def test_a_hundred_calls_at_once_get_exactly_what_the_budget_holds(tmp_path: Path, engine: str, span: str, measure: str) -> None:
    """Each call may use 18 + 10 tokens and so much money, and uses all of it: 40 of them fit."""
    cap = {"requests": 40, "tokens": 40 * 28 + 27, "cost_usd": 40 * 0.028 + 0.027}[measure]

    async def play() -> None:
        answers = [Entry(text="yes", usage=Usage(18, 10, 0, 0.028))] * 100
        one = desk(tmp_path, answers, **{f"{span}_{measure}": cap})
        one.scripted.facts = ModelFacts(0.001, 0.001)
        async with one.session as session:
            result = await one.run(ASK_MANY[engine].replace("COUNT", "100"), engine)
            assert result.error is None
            assert result.value == 40
            assert len(one.scripted.seen) == 40
            assert await used(session, f"{span}_requests" if span != "cell" else "session_requests") == [40]

    asyncio.run(play())
    assert in_the_ledger(tmp_path) == Amounts(40, 40 * 28, 40 * 28_000_000, in_the_ledger(tmp_path).ms)


TEN_IN_TURN = {
    "lua": "for i = 1, 10 do llm.chat('hi', {max_tokens = 10}) end",
    "javascript": "for (let i = 0; i < 10; i++) await llm.chat('hi', {maxTokens: 10})",
}


@BY_ENGINE
def test_what_was_reserved_and_not_used_is_there_for_the_next_call(tmp_path: Path, engine: str) -> None:
    async def play() -> None:
        one = desk(tmp_path, [Entry(text="yes", usage=Usage(1, 1, 0, 0.001))] * 20, cell_cost_usd=0.04)
        one.scripted.facts = ModelFacts(0.001, 0.001)
        async with one.session as session:
            await one.run(TEN_IN_TURN[engine], engine)
            assert await used(session, "session_requests", "session_cost_usd") == [10, 0.01]

    asyncio.run(play())


@BY_ENGINE
@pytest.mark.parametrize(
    ("budget", "asked"), [("cell_requests", 1), ("session_tokens", 5), ("day_cost_usd", 0.001), ("cell_seconds", 0), ("day_requests", 0)]
)
def test_a_script_meets_each_budget_as_a_limit_it_can_catch(tmp_path: Path, engine: str, budget: str, asked: float) -> None:
    catch = {
        "lua": "local ok, err = pcall(llm.chat, 'hi') local ok2, err2 = pcall(llm.chat, 'hi') return err2.code",
        "javascript": "let code; try { await llm.chat('hi') } catch {}; try { await llm.chat('hi') } catch (err) { code = err.code }; code",
    }

    async def play() -> None:
        one = desk(tmp_path, ["a", "b", "c"], **{budget: asked})
        one.scripted.facts = ModelFacts(0.001, 0.001)
        async with one.session:
            assert (await one.run(catch[engine], engine)).value == "limit"
            await one.run("x = 1" if engine == "lua" else "1", engine)
            uncaught = (await one.run(ASK[engine], engine)).error
            if budget != "cell_requests":
                assert isinstance(uncaught, LimitError)
                assert uncaught.limit == f"budgets.{budget}"
                assert f"[budgets] {budget} = " in uncaught.message

    asyncio.run(play())


def test_a_cell_s_budget_begins_anew_with_each_cell_and_a_session_s_does_not(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, ["a"] * 9, cell_requests=2, session_requests=5)
        async with one.session:
            results = [await one.run(ASK_MANY["lua"].replace("COUNT", "3")) for _ in range(3)]
            assert [result.value for result in results] == [2, 2, 1]

    asyncio.run(play())


def test_the_day_s_use_is_kept_over_a_restart_and_begins_anew_the_next_day(tmp_path: Path) -> None:
    async def play(now: float) -> Any:
        one = desk(tmp_path, ["a"] * 9, day_requests=3)
        one.session.budgets._day_use._ledger._clock = lambda: now  # type: ignore[attr-defined]
        async with one.session:
            return (await one.run(ASK_MANY["lua"].replace("COUNT", "2"))).value

    assert [asyncio.run(play(NOON)) for _ in range(3)] == [2, 1, 0]
    assert asyncio.run(play(NOON + 86_400)) == 2


def test_two_sessions_at_once_never_use_more_than_the_day_together(tmp_path: Path) -> None:
    async def play() -> None:
        desks = [desk(tmp_path, ["a"] * 100, day_requests=50) for _ in range(2)]
        code = ASK_MANY["lua"].replace("COUNT", "60")
        results = await asyncio.gather(*[one.run(code) for one in desks])
        assert sum(result.value for result in results) == 50
        assert [await used(one.session, "day_requests") for one in desks] == [[50], [50]]
        for one in desks:
            await one.session.close()

    asyncio.run(play())
    assert in_the_ledger(tmp_path).requests == 50


def test_what_a_call_did_not_use_is_given_back_also_where_the_next_one_is_refused(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, [Entry(text="yes", usage=Usage(1, 1, 0, 0.0))] * 9, day_tokens=100)
        asked = [await one.run(f"llm.chat('hi', {{max_tokens = {tokens}}})") for tokens in (60, 1_000, 60)]
        assert [result.error is None for result in asked] == [True, False, True]
        assert await used(one.session, "day_tokens") == [4]
        await one.session.close()

    asyncio.run(play())
    assert in_the_ledger(tmp_path).tokens == 4


def test_what_the_last_call_did_not_use_is_given_back_when_its_session_ends(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, [Entry(text="yes", usage=Usage(1, 1, 0, 0.0))], day_tokens=1_000)
        async with one.session:
            await one.run("llm.chat('hi', {max_tokens = 60})")

    asyncio.run(play())
    assert in_the_ledger(tmp_path).tokens == 2


SPEND = """
import asyncio, os, sys
from pathlib import Path
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings

async def main():
    settings = Settings(model="spell/echo", budgets={"day_requests": 60}, confinement="off")
    async with Session(settings=settings, state_folder=Path(sys.argv[1])) as session:
        print("ready", flush=True)
        sys.stdin.readline()
        result = await session.run(sys.argv[2])
        print(result.value, flush=True)

asyncio.run(main())
"""


def test_two_kernels_at_once_never_use_more_than_the_day_together(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SPEND, str(tmp_path), ASK_MANY["lua"].replace("COUNT", "50")]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    went = [int(process.communicate(timeout=60)[0]) for process in both]
    assert sum(went) == 60
    assert max(went) <= 50
    assert in_the_ledger_of_now(tmp_path).requests == 60


def in_the_ledger_of_now(folder: Path) -> Amounts:
    return Amounts(*Ledger(folder, Amounts._fields).today()[1])


def test_a_kernel_that_is_killed_in_a_call_leaves_what_the_call_might_have_used_counted(tmp_path: Path) -> None:
    script = tmp_path / "answers.json"
    script.write_text('[{"chunks": ["a", "b"], "delay_s": 60}]')
    program = (
        SPEND.replace('"spell/echo"', '"spell/scripted"')
        .replace("Session(", "Session(sink=Print(), ")
        .replace("async def main", "class Print:\n    def write(self, stream, text): print(text, end='', flush=True)\n\nasync def main")
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), 'local s = llm.stream("hi", {max_tokens = 10}) print("asked") s:text()'],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LLMSPELL_SCRIPT": str(script)},
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert in_the_ledger_of_now(tmp_path)[:2] == (1, 28)


STREAMS = {
    "read to its end": ("local s = llm.stream('hi', {max_tokens = 10}) for piece in s do end", 3),
    "left after one piece": ("local s = llm.stream('hi', {max_tokens = 10}) s:next() s:close()", None),
    "never read": ("local s = llm.stream('hi', {max_tokens = 10}) s:close()", None),
    "dropped with its failing cell": ("local s = llm.stream('hi', {max_tokens = 10}) s:next() error('x')", None),
}


@pytest.mark.parametrize("how", STREAMS)
def test_a_stream_is_settled_with_what_came_however_it_ends(tmp_path: Path, how: str) -> None:
    code, output = STREAMS[how]

    async def play() -> None:
        one = desk(tmp_path, [Entry(chunks=["a ", "b ", "c"])])
        async with one.session as session:
            await one.run(code)
            tally = session.budgets._session
            assert tally.reserved == Amounts()
            assert tally.used.tokens <= 1 + 3
            assert output is None or tally.used[:2] == (1, 1 + output)

    asyncio.run(play())
    assert in_the_ledger(tmp_path).tokens <= 4


@BY_ENGINE
def test_an_interrupted_call_is_settled_with_what_came(tmp_path: Path, engine: str) -> None:
    async def play() -> None:
        one = desk(tmp_path, [Entry(chunks=["a ", "b ", "c"], delay_s=0.01), Entry(chunks=["a", "b"], delay_s=3600)])
        async with one.session as session:
            session.recorder.listen(lambda event: session.interrupt() if type(event).__name__ == "CallChunk" else None)
            result = await one.run(ASK[engine], engine)
            assert type(result.error).__name__ == "Interrupted"
            (told,) = [event for event in session.recorder if isinstance(event, CallUsage)]
            assert session.budgets._session.reserved == Amounts()
            assert session.budgets._session.used[:2] == (1, told.input_tokens + told.output_tokens)
            assert told.output_tokens >= 1

    asyncio.run(play())


def test_a_call_that_nothing_was_sent_for_uses_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, [])
        async with one.session as session:
            result = await one.run('llm.chat("hi", {model = "openai/gpt-4o-mini"})')
            assert isinstance(result.error, BridgeError) and result.error.code == "missing_key"
            assert session.budgets._session.taken == Amounts()
            (told,) = [event for event in session.recorder if isinstance(event, CallUsage)]
            assert (told.attempts, told.cost_usd) == (0, 0.0)
            assert [line.spent.requests for line in spent(session.recorder, ())] == [0]

    asyncio.run(play())
    assert in_the_ledger(tmp_path) == Amounts()


@pytest.mark.parametrize("code", ["bad_key", "unreachable", "rate_limit", "server_error"])
def test_a_call_that_its_provider_refused_costs_nothing(tmp_path: Path, code: str) -> None:
    async def play() -> None:
        one = desk(tmp_path, [Entry(error=ScriptedError(code))])
        one.scripted.facts = ModelFacts(output_usd=0.001)
        async with one.session as session:
            assert (await one.run('llm.chat("hi", {max_tokens = 10, retries = 0})')).error is not None
            assert session.budgets._session == Tally(Amounts(requests=1, ms=session.budgets._session.used.ms))
            (told,) = [event for event in session.recorder if isinstance(event, CallUsage)]
            assert told.cost_usd == 0.0

    asyncio.run(play())
    assert in_the_ledger(tmp_path).nano_usd == 0


@pytest.mark.parametrize("code", ["timeout", "connection_lost", "bad_response", "context_length"])
def test_a_call_that_may_have_been_taken_before_it_failed_costs_the_most_it_might(tmp_path: Path, code: str) -> None:
    async def play() -> None:
        one = desk(tmp_path, [Entry(error=ScriptedError(code))])
        one.scripted.facts = ModelFacts(output_usd=0.001)
        async with one.session as session:
            await one.run(ASK["lua"])
            assert session.budgets._session.used.nano_usd == 10_000_000

    asyncio.run(play())


def test_a_refusal_does_not_make_the_attempt_after_it_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second attempt ends before anyone knows whether it was taken."""
    monkeypatch.setattr("llmspell_kernel.services.llm.retries.FIRST_WAIT_S", 0.0)

    async def play() -> None:
        one = desk(tmp_path, [Entry(error=ScriptedError("rate_limit")), Entry(error=ScriptedError("timeout"))])
        one.scripted.facts = ModelFacts(output_usd=0.001)
        async with one.session as session:
            await one.run(ASK["lua"])
            assert session.budgets._session.used[:3] == (2, 0, 10_000_000)

    asyncio.run(play())


def test_each_retry_counts_as_a_request_and_needs_the_budget_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmspell_kernel.services.llm.retries.FIRST_WAIT_S", 0.0)
    busy = Entry(error=ScriptedError("rate_limit", "too many", True))

    async def play() -> None:
        one = desk(tmp_path, [busy, busy, "yes", busy, busy, busy], session_requests=5)
        async with one.session as session:
            assert (await one.run(ASK["lua"])).value == "yes"
            assert session.budgets._session.used.requests == 3
            refused = (await one.run(ASK["lua"])).error
            assert isinstance(refused, LimitError) and refused.limit == "budgets.session_requests"
            assert session.budgets._session == session.budgets._session._replace(reserved=Amounts())
            assert session.budgets._session.used.requests == 5
            assert len(one.scripted.seen) == 5
            retried = one.events(Retried)
            first, second = (event.call for event in one.events(CallStarted))
            assert [(event.call, event.attempt, event.attempts) for event in retried] == [
                *((first, 2, 3), (first, 3, 3)),
                *((second, 2, 3), (second, 3, 3)),
            ]
            assert {(event.code, event.message) for event in retried} == {("rate_limit", "too many")}
            (over,) = one.events(BudgetRefused)
            assert (over.call, over.budget, over.used, over.limit) == (second, "budgets.session_requests", 5, 5)

    asyncio.run(play())


def test_a_call_is_ended_when_the_model_time_of_its_budget_is_over(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, [Entry(text="slow", delay_s=3600)], cell_seconds=0.05)
        async with one.session as session:
            ended = (await one.run(ASK["lua"])).error
            assert isinstance(ended, LimitError) and ended.limit == "budgets.cell_seconds"
            assert session.budgets._session.used.ms >= 50

    asyncio.run(play())


@BY_ENGINE
def test_a_model_that_is_not_listed_is_denied_and_never_asked(tmp_path: Path, engine: str) -> None:
    async def play() -> None:
        one = desk(tmp_path, ["a"], models=("spell/echo",))
        async with one.session:
            denied = (await one.run(ASK[engine], engine)).error
            assert isinstance(denied, DeniedError) and denied.capability == "model:spell/scripted"
            assert one.scripted.seen == []

    asyncio.run(play())


def test_a_model_without_a_price_is_refused_in_strict_before_anything_is_sent(tmp_path: Path) -> None:
    async def play(**more: Any) -> Any:
        one = desk(tmp_path, [], preset="strict", **more)
        async with one.session as session:
            try:
                await session.call_bridge("llm", "chat", "hi", {"model": "ollama_chat/of-my-own", "timeout_s": 0.01})
            except Exception as error:
                return error

    refused = asyncio.run(play())
    assert isinstance(refused, LimitError) and "price of 'ollama_chat/of-my-own' is not known" in refused.message


def test_four_fifths_of_a_budget_are_told_once_in_the_cell_that_comes_so_far(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, ["a"] * 30, cell_requests=5, session_requests=10, day_requests=1000)
        async with one.session:
            five = ASK_MANY["lua"].replace("COUNT", "5")
            await one.run(five)
            assert one.warnings() == ["[80 % of the budget budgets.cell_requests is used: 4 of 5]"]
            await one.run(five)
            assert one.warnings()[1:] == [
                "[80 % of the budget budgets.session_requests is used: 8 of 10]",
                "[80 % of the budget budgets.cell_requests is used: 4 of 5]",
            ]
            assert [(event.cell, event.budget, event.used, event.limit) for event in one.events(BudgetWarned)] == [
                (1, "budgets.cell_requests", 4, 5),
                (2, "budgets.session_requests", 8, 10),
                (2, "budgets.cell_requests", 4, 5),
            ]

    asyncio.run(play())


def test_what_a_bridge_uses_without_asking_is_counted_all_the_same(tmp_path: Path) -> None:
    class Rude(Bridge):
        """Asks nobody."""

        name = "rude"

        @method
        async def spend(self, ctx: Context) -> None:
            """Uses a model behind our back."""
            ctx.usage(model="m", input_tokens=70, output_tokens=30, cost_usd=0.5)

    async def play() -> None:
        one = desk(tmp_path, ["a"], session_tokens=110, bridges=[Rude()])
        async with one.session as session:
            await one.run("rude.spend()")
            assert await used(session, "session_requests", "session_tokens", "session_cost_usd") == [1, 100, 0.5]
            assert isinstance((await one.run(ASK["lua"])).error, LimitError)

    asyncio.run(play())
    assert in_the_ledger(tmp_path)[:3] == (1, 100, 500_000_000)


class Painter(Bridge):
    """Reserves once and tells twice."""

    name = "painter"

    @method
    async def paint(self, ctx: Context, first: Literal["tell", "settle", "release"]) -> None:
        """Ends its reservation, and uses more."""
        reservation = await ctx.reserve(cost_usd=0.3)
        if first == "tell":
            ctx.usage(cost_usd=0.25)
        elif first == "settle":
            reservation.settle()
        else:
            reservation.release()
        ctx.usage(cost_usd=0.5)


@pytest.mark.parametrize(("first", "requests", "cost_usd"), [("tell", 2, 0.75), ("settle", 2, 0.8), ("release", 1, 0.5)])
def test_what_a_bridge_uses_beyond_its_reservation_is_counted_all_the_same(
    tmp_path: Path, first: str, requests: int, cost_usd: float
) -> None:
    async def play() -> None:
        one = desk(tmp_path, [], bridges=[Painter()])
        async with one.session as session:
            await session.call_bridge("painter", "paint", first)
            assert session.budgets._session.taken == Amounts(requests=requests, nano_usd=round(cost_usd * 1e9))

    asyncio.run(play())
    assert in_the_ledger(tmp_path) == Amounts(requests=requests, nano_usd=round(cost_usd * 1e9))


class Agent(Bridge):
    """Takes steps, and forgets what it reserved."""

    name = "agent"

    @method
    async def walk(self, ctx: Context, steps: int) -> int:
        """So many steps."""
        taken = 0
        for _ in range(steps):
            (await ctx.reserve(requests=0, steps=1)).settle()
            taken += 1
        return taken

    @method
    async def forget(self, ctx: Context) -> None:
        """Reserves, and neither uses nor releases."""
        await ctx.reserve(input_tokens=50, cost_usd=1.0)

    @method
    async def fail(self, ctx: Context) -> None:
        """Reserves and fails."""
        await ctx.reserve(input_tokens=50, cost_usd=1.0)
        raise RuntimeError("on purpose")


def test_agent_steps_have_a_budget_of_their_own(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, [], cell_steps=10, session_steps=15, bridges=[Agent()])
        async with one.session:
            assert (await one.run("return agent.walk(10)")).value == 10
            assert (await one.run("return agent.walk(6)")).error.limit == "budgets.session_steps"  # type: ignore[union-attr]

    asyncio.run(play())


@pytest.mark.parametrize("call", ["agent.forget()", "pcall(agent.fail)"])
def test_what_nobody_settled_is_released_when_its_call_ends(tmp_path: Path, call: str) -> None:
    async def play() -> None:
        one = desk(tmp_path, [], bridges=[Agent()])
        async with one.session as session:
            await one.run(call)
            assert session.budgets._session.taken == Amounts()

    asyncio.run(play())
    assert in_the_ledger(tmp_path) == Amounts()


def test_a_refused_call_reserves_nothing_anywhere(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, ["a"], day_requests=0)
        async with one.session as session:
            await one.run(ASK["lua"])
            assert session.budgets._session.taken == Amounts()
            assert not [event for event in session.recorder if isinstance(event, CallUsage)]
            assert [type(event) for event in session.recorder if isinstance(event, (CallStarted, CallFailed))] == [CallStarted, CallFailed]

    asyncio.run(play())
    assert in_the_ledger(tmp_path) == Amounts()


def test_who_is_cancelled_while_the_day_is_asked_has_reserved_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, [])
        session = one.session
        budgets = session.budgets
        account = Account(one.told, one.near)
        tasks = [asyncio.create_task(budgets.reserve(account, Amounts(1, 10))) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        done = [task for task in tasks if not task.cancelled()]
        for task in done:
            task.result().release()
        await session.close()
        assert budgets._session.taken == Amounts()

    asyncio.run(play())
    assert in_the_ledger(tmp_path) == Amounts()


def test_a_place_for_the_ledger_that_cannot_be_written_is_told_once_and_the_session_counts_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def play() -> None:
        one = desk(tmp_path / "file", ["a"] * 9, day_requests=3)
        async with one.session:
            assert (await one.run(ASK_MANY["lua"].replace("COUNT", "2"))).value == 2
            assert (await one.run(ASK_MANY["lua"].replace("COUNT", "2"))).value == 1
            assert one.sink.text("stderr").count("the day's budgets cannot be kept") == 1
            assert str(tmp_path) not in one.sink.text("stderr")

    asyncio.run(play())


def test_strict_asks_no_model_where_the_day_cannot_be_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def play() -> None:
        one = desk(tmp_path / "file", ["a"], preset="strict")
        async with one.session as session:
            with pytest.raises(BridgeError, match="the preset strict asks no model"):
                await session.call_bridge("llm", "chat", "hi")
            assert one.scripted.seen == []

    asyncio.run(play())


def test_an_unreadable_ledger_is_told_once_and_counting_starts_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"nonsense" * 100)

    async def play() -> None:
        one = desk(tmp_path, ["a"] * 3)
        async with one.session:
            await one.run(ASK["lua"])
            await one.run(ASK["lua"])
            assert one.sink.text("stderr").count("today is counted anew") == 1

    asyncio.run(play())
    assert in_the_ledger(tmp_path).requests == 2


def test_other_caps_hold_from_the_next_call_on_and_what_was_used_stays_used(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, ["a"] * 9, session_requests=2)
        async with one.session as session:
            assert (await one.run(ASK_MANY["lua"].replace("COUNT", "3"))).value == 2
            session.configure(session.settings._replace(budgets={"session_requests": 3}))
            assert (await one.run(ASK_MANY["lua"].replace("COUNT", "3"))).value == 1

    asyncio.run(play())


@pytest.mark.parametrize("tokens", [10**9 + 1, 10**18, 2**63 - 1])
def test_no_number_of_a_script_s_makes_the_ledger_fail(tmp_path: Path, tokens: int) -> None:
    async def play() -> None:
        one = desk(tmp_path, ["a"])
        one.scripted.facts = ModelFacts(0.001, 0.001)
        async with one.session:
            refused = (await one.run(f'llm.chat("hi", {{max_tokens = {tokens}}})')).error
            assert isinstance(refused, LimitError)
            assert (await one.run(ASK["lua"])).value == "a"
            assert "cannot be kept" not in one.sink.text("stderr")

    asyncio.run(play())
    assert in_the_ledger(tmp_path).requests == 1


def test_a_provider_s_own_numbers_at_the_listed_price_are_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$0.15 and $0.60 for a million tokens: 7 asked and 3 answered."""

    async def play() -> None:
        async with OpenAIServer() as server:
            monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
            monkeypatch.setenv("OPENAI_API_BASE", server.address)
            server.replies.extend([Reply(chunks=["a", "b", "c"]), Reply(chunks=["one two three"], end="cut", usage=None)])
            settings = Settings(model="openai/gpt-4o-mini", budgets={"day_cost_usd": 0.001}, confinement="off")
            async with Session(settings=settings, state_folder=tmp_path, unix_time=lambda: NOON) as session:
                assert (await session.run(ASK["lua"])).value == "abc"
                assert session.budgets._session.used[:3] == (1, 10, 7 * 150 + 3 * 600)
                cut = (await session.run(ASK["lua"])).error
                assert isinstance(cut, BridgeError) and cut.code == "connection_lost"
                assert session.budgets._session.reserved == Amounts()
                assert session.budgets._session.used.requests == 2
                assert session.budgets._session.used.nano_usd > 7 * 150 + 3 * 600
                refused = (await session.run('llm.chat("hi")')).error
                assert isinstance(refused, LimitError) and refused.limit == "budgets.day_cost_usd"
                assert len(server.requests) == 2

    asyncio.run(play())


def test_a_report_holds_up_no_event_loop_while_another_process_writes_the_ledger(tmp_path: Path) -> None:
    Ledger(tmp_path, Amounts._fields, lambda: NOON).reserve(lambda sums: Amounts(3))

    async def play() -> None:
        one = desk(tmp_path, [])
        async with one.session as session:
            with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                asked = asyncio.create_task(used(session, "day_requests"))
                await asyncio.sleep(0)  # by now the ledger is asked
                assert session.budgets._day_use._thread is not None and not asked.done()
                other.execute("ROLLBACK")
                assert await asked == [3]

    asyncio.run(play())


def test_a_report_tells_what_is_known_where_another_process_holds_the_ledger_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmspell_kernel.session.day_use.LOOK_S", 0.0)
    Ledger(tmp_path, Amounts._fields, lambda: NOON).reserve(lambda sums: Amounts(3))

    async def play() -> None:
        one = desk(tmp_path, [])
        async with one.session as session:
            with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                assert await used(session, "day_requests") == [0]

    asyncio.run(play())


def test_strict_does_not_go_on_without_the_day_that_another_preset_gave_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def play() -> None:
        one = desk(tmp_path / "file", ["a", "b"])
        async with one.session as session:
            assert (await one.run(ASK["lua"])).value == "a"
            session.configure(Settings(preset="strict"))
            with pytest.raises(BridgeError, match="the preset strict asks no model"):
                await session.call_bridge("llm", "chat", "hi")

    asyncio.run(play())


@pytest.mark.parametrize("used", [None, Amounts(1, 20, 400_000_000)])
def test_what_one_session_reserved_alone_is_never_taken_from_the_day_of_all(tmp_path: Path, used: Amounts | None) -> None:
    """The ledger can be used again by the time the call ends: others' use stays counted, and what was really used is added to it."""
    folder, others = tmp_path / "state", Amounts(5, 500, 5_000_000_000)
    folder.write_text("")  # no folder can be made there

    async def play() -> None:
        one = desk(folder, [], day_cost_usd=9.0)
        budgets, account = one.session.budgets, Account(one.told, one.near)
        alone = await budgets.reserve(account, Amounts(1, 100, 1_000_000_000))
        folder.unlink()
        Ledger(folder, Amounts._fields, lambda: NOON).reserve(lambda sums: others)
        one.session.configure(one.session.settings)
        together = await budgets.reserve(account, Amounts(1, 100, 2_000_000_000))
        if used is None:
            alone.release()
        else:
            alone.settle_with(used)
        together.release()
        await one.session.close()
        assert budgets._session.reserved == budgets._own.reserved == Amounts()

    asyncio.run(play())
    assert in_the_ledger(folder) == others.plus(used or Amounts())


def test_what_the_ledger_has_reserved_is_given_back_though_another_call_failed_to_reach_it(tmp_path: Path) -> None:
    async def play() -> None:
        one = desk(tmp_path, [])
        budgets, account = one.session.budgets, Account(one.told, one.near)
        reserved = await budgets.reserve(account, Amounts(1, 100))
        budgets._lose_ledger(account, LedgerError("on purpose"))
        reserved.release()
        await one.session.close()

    asyncio.run(play())
    assert in_the_ledger(tmp_path) == Amounts()
