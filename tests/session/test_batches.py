"""`llm.batch`, `llm.compare`, `llm.consensus` and prompts in real sessions, in every language: what they give, keep, stop and replay."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.errors import SpellError
from llmspell_kernel.journal.events import CallFailed, CallStarted
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.session import ExecutionResult, Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.shown import Matrix, Progress
from llmspell_kernel.values import Value

from .test_kept_functions import kill
from .world import ENGINES, Recording

every_engine = pytest.mark.parametrize("engine", ENGINES)
Cell = dict[str, str]


class Scene:
    def __init__(self, session: Session, sink: Recording, engine: str) -> None:
        self.session = session
        self.sink = sink
        self.engine = engine

    async def result(self, cell: Cell, chunk: str = "cell[1]") -> ExecutionResult:
        return await self.session.run(cell[self.engine], engine=self.engine, chunk=chunk)

    async def run(self, cell: Cell, chunk: str = "cell[1]") -> Any:
        return (await self.result(cell, chunk)).raise_for_error().value

    def shown(self, kind: type) -> list[Any]:
        return [thing for name, thing in self.sink.got if name == "shown" and isinstance(thing, kind)]

    def asked(self) -> int:
        return sum(isinstance(event, CallStarted) and event.method == "generate" for event in self.session.recorder)


@asynccontextmanager
async def scene(
    engine: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *answers: Any,
    model: str = "",
    settings: dict[str, Any] | None = None,
    grants: Grants | None = None,
) -> AsyncIterator[Scene]:
    """With answers, spell/scripted gives them; else spell/echo answers."""
    script = folder / "script.json"
    entries = [{"text": entry} if isinstance(entry, str) else entry for entry in answers]
    script.write_text(json.dumps(entries), encoding="utf-8")
    monkeypatch.setenv("LLMSPELL_SCRIPT", str(script))
    sink = Recording()
    chosen = model or ("spell/scripted" if answers else "spell/echo")
    async with Session(sink=sink, settings=Settings(model=chosen, **(settings or {})), folder=folder, grants=grants) as session:
        yield Scene(session, sink, engine)


def texts(entries: Any) -> list[Value]:
    return [entry.get("text", entry.get("error", {}).get("code")) for entry in entries]


def batch(count: int, options: str = "") -> Cell:
    return {
        "lua": f"local prompts = {{}} for i = 1, {count} do prompts[i] = 'q' .. i .. '.' end "
        f"return llm.batch(prompts, {{{options.replace(':', ' =')}}})",
        "javascript": f"await llm.batch(Array.from({{length: {count}}}, (_, i) => `q${{i + 1}}.`), {{{options}}})",
    }


def answer(number: int, **entry: Any) -> dict[str, Any]:
    return {"match": f"q{number}.", "text": f"a{number}", **entry}


LAST: Cell = {"lua": "llm.last_batch()", "javascript": "await llm.lastBatch()"}


@every_engine
def test_answers_come_in_the_order_of_the_prompts_whichever_comes_first(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        entries = [answer(number, delay_s=0.03 if number < 4 else 0) for number in range(1, 9)]
        async with scene(engine, tmp_path, monkeypatch, *entries) as here:
            found = await here.run(batch(8))
            assert texts(found) == [f"a{number}" for number in range(1, 9)]
            assert [entry["index"] for entry in found] == list(range(1, 9))
            assert found[0]["usage"]["output_tokens"] == 1 and found[0]["cost_usd"] == 0 and "latency_ms" not in found[0]

    asyncio.run(play())


@every_engine
def test_no_more_are_asked_at_once_than_the_script_said(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch) as here:
            open_calls, most = set[int](), 0

            def listen(event: Any) -> None:
                nonlocal most
                if isinstance(event, CallStarted) and event.method == "generate":
                    open_calls.add(event.call)
                    most = max(most, len(open_calls))
                elif type(event).__name__ in ("CallFinished", "CallFailed"):
                    open_calls.discard(event.call)

            here.session.recorder.listen(listen)
            assert len(await here.run(batch(30, "concurrency: 3"))) == 30
            assert most == 3

    asyncio.run(play())


@every_engine
def test_failures_are_entries_with_their_codes_and_the_others_go_on(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        error = {"error": {"code": "bad_request", "message": "no", "retryable": False}}
        async with scene(engine, tmp_path, monkeypatch, answer(1), answer(2, **error, text=""), answer(3)) as here:
            found = await here.run(batch(3))
            assert texts(found) == ["a1", "bad_request", "a3"]
            assert found[1] == {"index": 2, "error": {"code": "bad_request", "message": "no", "retryable": False}}
            bars = here.shown(Progress)
            assert (bars[-1].done, bars[-1].total, bars[-1].ended) == (3, 3, True)
            assert bars[-1].text == "1 failed (bad_request 1)"

    asyncio.run(play())


@every_engine
def test_stop_asks_no_more_raises_the_failure_and_keeps_what_is_done(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        error = {"error": {"code": "bad_request", "message": "no", "retryable": False}, "text": ""}
        async with scene(engine, tmp_path, monkeypatch, answer(1), answer(2), answer(3, **error), answer(4)) as here:
            result = await here.result(batch(4, "concurrency: 1, on_error: 'stop'"))
            assert result.error is not None and result.error.code == "bad_request"
            assert texts(await here.run(LAST)) == ["a1", "a2", "bad_request", "not_asked"]
            part = {"lua": "llm.last_batch(2, 3)", "javascript": "await llm.lastBatch(2, 3)"}
            assert texts(await here.run(part)) == ["a2", "bad_request"]

    asyncio.run(play())


@every_engine
def test_a_budget_ends_the_batch_with_its_own_error_and_what_was_done_is_kept(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        settings = {"budgets": {"cell_requests": 3}}
        async with scene(engine, tmp_path, monkeypatch, settings=settings) as here:
            result = await here.result(batch(10, "concurrency: 1"))
            assert result.error is not None and result.error.code == "limit", result.error
            assert texts(await here.run(LAST)) == ["echo: q1.", "echo: q2.", "echo: q3.", "limit", *["not_asked"] * 6]

    asyncio.run(play())


@every_engine
def test_a_call_that_is_not_allowed_ends_the_batch(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch, grants=Grants(deny=("llm.generate",))) as here:
            result = await here.result(batch(10))
            assert result.error is not None and result.error.code == "denied"
            assert here.asked() == 0

    asyncio.run(play())


@every_engine
def test_an_interrupt_ends_the_batch_and_what_was_done_is_kept(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        entries = [answer(1), answer(2), answer(3, delay_s=3600), answer(4, delay_s=3600)]
        async with scene(engine, tmp_path, monkeypatch, *entries) as here:
            begun = asyncio.Event()

            def listen(event: Any) -> None:
                if isinstance(event, CallStarted) and event.method == "generate" and event.arguments[0] == "q4.":
                    begun.set()

            here.session.recorder.listen(listen)
            cell = asyncio.ensure_future(here.result(batch(6, "concurrency: 2")))
            await begun.wait()
            here.session.interrupt()
            result = await cell
            assert result.error is not None and result.error.code == "interrupted"
            assert texts(await here.run(LAST, "cell[2]")) == ["a1", "a2", *["not_asked"] * 4]
            assert here.shown(Progress)[-1].ended and here.shown(Progress)[-1].done == 2
            assert sum(isinstance(event, CallFailed) and event.cancelled for event in here.session.recorder) >= 2

    asyncio.run(play())


@every_engine
@pytest.mark.parametrize("options", ["concurrency: 1", "concurrency: 3", "concurrency: 3, on_error: 'stop'"])
def test_a_replay_gives_the_same_without_asking(engine: str, options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"error": {"code": "bad_request", "message": "no", "retryable": False}, "text": ""}
    entries = [answer(1, delay_s=0.02), answer(2), answer(3, **error), *(answer(number) for number in range(4, 9))]

    async def play(mode: Any) -> tuple[Any, Any]:
        async with scene(engine, tmp_path, monkeypatch, *(entries if mode == "record" else ()), model="spell/scripted") as here:
            here.session.tape(mode, tmp_path / "a.jsonl")
            result = await here.result(batch(8, options))
            return result.value, None if result.error is None else (result.error.code, result.error.message)

    recorded, replayed = asyncio.run(play("record")), asyncio.run(play("replay"))
    assert recorded == replayed
    assert (recorded[1] is None) == ("stop" not in options)


@every_engine
def test_a_state_that_was_lost_comes_back_with_its_batch_and_nothing_is_asked_again(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch) as here:
            await here.run(
                {
                    "lua": "template = prompt.template('{{a}}?', {name = 'ask'}); "
                    "got = llm.batch({template:render{a = 'x'}, 'y'}); llm.batch({'newer'})",
                    "javascript": "let template = await prompt.template('{{a}}?', {name: 'ask'}); "
                    "let got = await llm.batch([await template.render({a: 'x'}), 'y']); await llm.batch(['newer']);",
                }
            )
            asked = here.asked()
            await kill(here.session, engine)
            cell = {
                "lua": "return {got[1].text, got[2].text, template:render{a = 'z'}, llm.last_batch()[1].text}",
                "javascript": "[got[0].text, got[1].text, await template.render({a: 'z'}), (await llm.lastBatch())[0].text]",
            }
            assert await here.run(cell, "cell[2]") == ["echo: x?", "echo: y", "z?", "echo: newer"]
            assert here.asked() == asked

    asyncio.run(play())


@every_engine
def test_too_many_prompts_and_an_unknown_model_are_refused_before_anything_is_asked(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch) as here:
            result = await here.result(batch(10_001))
            assert result.error is not None and "10,001 prompts are more than the 10,000" in result.error.message
            result = await here.result(batch(2, "model: 'spell/ecko'"))
            assert result.error is not None and result.error.code == "unknown_model"
            result = await here.result(batch(2, "concurrency: 201"))
            assert result.error is not None and result.error.code == "argument"
            assert here.asked() == 0
            assert await here.run(batch(0)) == []

    asyncio.run(play())


COMPARE: Cell = {
    "lua": """return llm.compare{
        prompts = {"The capital of {{country}}?", {name = "short", text = "{{country}}: {{capital}}"}},
        models = {"spell/echo", "spell/echo"}, params = {temperature = {0, 0.7}, max_tokens = 20},
        cases = {{country = "France", capital = "Paris"}, {country = "Italy", capital = "Rome"}},
        checks = {{contains = "{{capital}}"}, {name = "long", fn = function(text, about) return {pass = #text > 5, reason = about.model} end}},
    }""",
    "javascript": """await llm.compare({
        prompts: ["The capital of {{country}}?", {name: "short", text: "{{country}}: {{capital}}"}],
        models: ["spell/echo", "spell/echo"], params: {temperature: [0, 0.7], maxTokens: 20},
        cases: [{country: "France", capital: "Paris"}, {country: "Italy", capital: "Rome"}],
        checks: [{contains: "{{capital}}"}, {name: "long", fn: (text, about) => ({pass: text.length > 5, reason: about.model})}],
    })""",
}


@every_engine
def test_every_combination_is_a_row_and_the_matrix_says_how_many_pass(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch) as here:
            found = await here.run(COMPARE)
            rows = found["rows"]
            assert len(rows) == 16 == here.asked()
            assert all(list(row) and set(row) == set(found["columns"]) for row in rows)
            assert [row["passed"] for row in rows] == [False] * 8 + [True] * 8
            assert rows[0]["reasons"] == "contains: lacks 'Paris'" and rows[0]["long"] is True and rows[0]["contains"] is False
            assert [(entry["prompt"], entry["temperature"], entry["pass_rate"], entry["runs"]) for entry in found["summary"]] == [
                ("The capital of {{country}}?", 0, 0.0, 2),
                ("The capital of {{country}}?", 0, 0.0, 2),
                ("The capital of {{country}}?", 0.7, 0.0, 2),
                ("The capital of {{country}}?", 0.7, 0.0, 2),
                ("short", 0, 1.0, 2),
                ("short", 0, 1.0, 2),
                ("short", 0.7, 1.0, 2),
                ("short", 0.7, 1.0, 2),
            ]
            assert found["summary"][0]["checks"] == {"contains": 0.0, "long": 1.0}
            (table,) = here.shown(Matrix)
            assert table.title == "Comparison: 8 of 16 passed"
            assert table.columns == ["prompt", "temperature", "spell/echo", "spell/echo"]
            assert table.rows[0] == ["The capital of {{country}}?", 0, "0 % (0/2), not contains (2)", "0 % (0/2), not contains (2)"]
            assert table.rows[3] == ["short", 0.7, "100 % (2/2)", "100 % (2/2)"]
            assert (table.shares[0], table.shares[3]) == ([None, None, 0.0, 0.0], [None, None, 1.0, 1.0])

    asyncio.run(play())


@every_engine
def test_the_rows_are_a_data_frame_in_python(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")

    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch) as here:
            found = await here.run(COMPARE)
            frame = pandas.DataFrame(found["rows"], columns=found["columns"])
            assert frame.groupby("prompt")["passed"].mean().to_dict() == {"The capital of {{country}}?": 0.0, "short": 1.0}

    asyncio.run(play())


def checked(lua: str, javascript: str, prompt: str = "hello") -> Cell:
    return {
        "lua": f"return llm.compare{{prompts = '{prompt}', checks = {{{lua}}}}}.rows[1]",
        "javascript": f"(await llm.compare({{prompts: '{prompt}', checks: [{javascript}]}})).rows[0]",
    }


CHECKS = [
    ("{equals = 'echo: hello'}", "{equals: 'echo: hello'}", True, ""),
    ("{equals = 'hello'}", "{equals: 'hello'}", False, "equals: is not 'hello'"),
    ("{contains = {'echo', 'hell'}}", "{contains: ['echo', 'hell']}", True, ""),
    ("{contains = {'echo', 'bye'}}", "{contains: ['echo', 'bye']}", False, "contains: lacks 'bye'"),
    ("{regex = '^echo: \\\\w+$'}", "{regex: '^echo: \\\\w+$'}", True, ""),
    ("{regex = '^hello'}", "{regex: '^hello'}", False, "regex: does not match '^hello'"),
    ("{schema = {type = 'integer'}}", "{schema: {type: 'integer'}}", False, "schema: there is no JSON in it"),
    ("{max_cost = 0}", "{max_cost: 0}", True, ""),
    ("{max_latency = 600000}", "{max_latency: 600000}", True, ""),
    ("{max_latency = 0}", "{max_latency: 0}", False, "max_latency: took longer"),
    ("function(text) return text == 'echo: hello' end", "text => text === 'echo: hello'", True, ""),
    ("function() end", "() => {}", False, "fn: the function returned neither true nor false"),
    ("function() error('oh no', 0) end", "() => { throw new Error('oh no') }", False, "fn: the function failed: oh no"),
]


@every_engine
def test_checks_pass_or_say_why_not(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch) as here:
            for lua, javascript, passed, reasons in CHECKS:
                row = await here.run(checked(lua, javascript))
                assert (row["passed"], row["reasons"]) == (passed, reasons), lua

    asyncio.run(play())


@every_engine
def test_a_model_judges_by_a_criterion(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        answers = [{"match": "Criterion: kind", "text": '{"reason": "it is rude", "pass": false}'}]
        async with scene(engine, tmp_path, monkeypatch, *answers, model="spell/echo") as here:
            judge = "{judge = 'spell/scripted', criterion = 'kind'}", "{judge: 'spell/scripted', criterion: 'kind'}"
            row = await here.run(checked(*judge))
            assert (row["judge"], row["reasons"]) == (False, "judge: it is rude")
            row = await here.run(checked(*judge))  # its script is used up
            assert row["passed"] is False and row["reasons"].startswith("judge: the judge failed:")

    asyncio.run(play())


@every_engine
def test_a_question_that_fails_is_a_row_with_its_error(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch, model="spell/scripted") as here:
            row = await here.run(checked("{contains = 'x'}", "{contains: 'x'}"))
            assert row["passed"] is False and row["contains"] is False and row["error"].startswith("script_exhausted: ")

    asyncio.run(play())


@every_engine
def test_a_comparison_is_replayed_with_the_latency_that_its_check_saw(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(mode: Any) -> Any:
        async with scene(engine, tmp_path, monkeypatch) as here:
            here.session.tape(mode, tmp_path / "a.jsonl")
            row = await here.run(checked("{max_latency = 0}", "{max_latency: 0}"))
            del row["latency_ms"]
            return row

    recorded = asyncio.run(play("record"))
    assert recorded["passed"] is False
    assert asyncio.run(play("replay")) == recorded


@every_engine
def test_a_budget_ends_a_comparison_and_its_rows_are_kept(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch, settings={"budgets": {"cell_requests": 2}}) as here:
            cell = {
                "lua": "llm.compare{prompts = 'x', repeats = 5, concurrency = 1}",
                "javascript": "await llm.compare({prompts: 'x', repeat: 5, concurrency: 1})",
            }
            result = await here.result(cell)
            assert result.error is not None and result.error.code == "limit"
            rows = await here.run(LAST)
            assert [row["text"] for row in rows] == ["echo: x", "echo: x", ""] and rows[2]["error"].startswith("limit: ")
            assert here.shown(Matrix) == []

    asyncio.run(play())


@every_engine
def test_prompts_that_are_kept_by_name_are_compared_by_version(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch) as here:
            cell = {
                "lua": """prompt.template("one {{a}}", {name = "p"}) prompt.template("two {{a}}", {name = "p", version = 2})
                    local got = llm.compare{prompts = {{template = "p", version = 1}, {template = "p"}}, cases = {{a = "x"}}, repeats = 2}
                    return {got.rows[1].prompt, got.rows[1].text, got.rows[3].prompt, got.rows[4].text}""",
                "javascript": """await prompt.template("one {{a}}", {name: "p"}); await prompt.template("two {{a}}", {name: "p", version: 2});
                    const got = await llm.compare({prompts: [{template: "p", version: 1}, {template: "p"}], cases: [{a: "x"}], repeat: 2});
                    [got.rows[0].prompt, got.rows[0].text, got.rows[2].prompt, got.rows[3].text]""",
            }
            assert await here.run(cell) == ["p 1", "echo: one x", "p", "echo: two x"]

    asyncio.run(play())


WRONG = [
    ("prompts = {}", "prompts: []", "argument", "needs a prompt"),
    ("prompts = 'x {{y}}', cases = {{z = 1}}", "prompts: 'x {{y}}', cases: [{z: 1}]", "missing_variables", "'y'"),
    ("prompts = 'x', params = {temprature = 1}", "prompts: 'x', params: {temprature: 1}", "argument", "did you mean 'temperature'"),
    ("prompts = 'x', params = {temperature = {0, 9}}", "prompts: 'x', params: {temperature: [0, 9]}", "argument", "temperature"),
    ("prompts = 'x', params = {model = 'y'}", "prompts: 'x', params: {model: 'y'}", "argument", "name the models in models"),
    ("prompts = 'x', models = 'spell/ecko'", "prompts: 'x', models: 'spell/ecko'", "unknown_model", "spell/echo"),
    ("prompts = 'x', checks = {{equal = 'y'}}", "prompts: 'x', checks: [{equal: 'y'}]", "argument", "did you mean 'equals'"),
    ("prompts = 'x', checks = {{regex = '('}}", "prompts: 'x', checks: [{regex: '('}]", "argument", "no regular expression"),
    (
        "prompts = 'x', checks = {{schema = {type = 'strin'}}}",
        "prompts: 'x', checks: [{schema: {type: 'strin'}}]",
        "argument",
        "no type 'strin'",
    ),
    ("prompts = 'x', checks = {{judge = 'spell/echo'}}", "prompts: 'x', checks: [{judge: 'spell/echo'}]", "argument", "criterion"),
    ("prompts = 'x', checks = {{contains = '{{z}}'}}", "prompts: 'x', checks: [{contains: '{{z}}'}]", "missing_variables", "'z'"),
    ("prompts = {{template = 'nobody'}}", "prompts: [{template: 'nobody'}]", "unknown_prompt", "nobody"),
    ("prompts = 'x', repeats = 2, ['repeat'] = 2", "prompts: 'x', repeats: 2, repeat: 2", "argument", "the same"),
]


@every_engine
def test_a_wrong_comparison_is_told_before_anything_is_asked(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch) as here:
            for lua, javascript, code, words in WRONG:
                result = await here.result({"lua": f"llm.compare{{{lua}}}", "javascript": f"await llm.compare({{{javascript}}})"})
                assert result.error is not None and (result.error.code, words in result.error.message) == (code, True), (lua, result.error)
            assert here.asked() == 0

    asyncio.run(play())


def consensus(options: str = "") -> Cell:
    return {
        "lua": f"llm.consensus('q', {{'spell/scripted', 'spell/scripted', 'spell/scripted'}}, {{{options.replace(':', ' =')}}})",
        "javascript": f"await llm.consensus('q', ['spell/scripted', 'spell/scripted', 'spell/scripted'], {{{options}}})",
    }


@every_engine
def test_the_majority_wins_whatever_its_case_and_marks(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch, "Rome", "Paris.", " paris") as here:
            found = await here.run(consensus())
            assert found["text"] == "Paris." and found["agreement"] == pytest.approx(2 / 3)
            assert found["votes"] == [
                {"text": "Paris.", "count": 2, "models": ["spell/scripted"] * 2},
                {"text": "Rome", "count": 1, "models": ["spell/scripted"]},
            ]
            assert [one["text"] for one in found["answers"]] == ["Rome", "Paris.", " paris"]

    asyncio.run(play())


@every_engine
def test_a_judge_chooses_and_a_writer_writes(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        rome = [{"match": "q", "text": "Rome"}, "Paris", "Oslo"]
        chosen = {"match": "Choose the best", "text": '{"reason": "it is", "number": 2}'}
        async with scene(engine, tmp_path, monkeypatch, chosen, *rome) as here:
            found = await here.run(consensus("strategy: 'judge'"))
            assert (found["text"], found["reason"]) == ("Paris", "it is")
        written = {"match": "Write the one best answer", "text": "All roads lead to Rome."}
        async with scene(engine, tmp_path, monkeypatch, written, *rome) as here:
            assert (await here.run(consensus("strategy: 'synthesize'")))["text"] == "All roads lead to Rome."

    asyncio.run(play())


@every_engine
def test_models_that_fail_are_left_out_and_where_all_fail_the_first_failure_is_raised(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch, "Rome") as here:
            found = await here.run(consensus())
            assert (found["text"], found["agreement"]) == ("Rome", 1.0)
            assert [one.get("error", {}).get("code") for one in found["answers"]] == [None, "script_exhausted", "script_exhausted"]
            with pytest.raises(SpellError, match="used up"):
                await here.run(consensus())

    asyncio.run(play())


@every_engine
def test_what_a_batch_came_to_ends_with_its_state_and_is_no_other_states_of_that_name(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with scene(engine, tmp_path, monkeypatch) as here:
            await here.run(batch(2))
            await kill(here.session, engine)
            assert len(await here.run(LAST)) == 2
            await here.session.forget("main", engine)
            result = await here.result(LAST)
            assert result.error is not None and result.error.code == "no_batch"

    asyncio.run(play())


@every_engine
def test_what_batches_came_to_takes_no_memory_once_their_states_are_forgotten(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        bridge = Llm(LlmService({"LLMSPELL_MODEL": "spell/echo"}, local_installed=False))
        async with Session(bridges=[bridge], folder=tmp_path) as session:
            for number in range(3):
                await session.run(batch(2)[engine], engine=engine, state=f"s{number}")
                await session.forget(f"s{number}", engine)
            gc.collect()
            assert len(bridge.kept_work) == 0

    asyncio.run(play())
