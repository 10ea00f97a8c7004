"""Spans as a real collector gets them over HTTP: one tree a cell, in both languages."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.journal.events import (
    AnyEvent,
    BudgetRefused,
    BudgetWarned,
    CallAsked,
    CallChunk,
    CallFailed,
    CallFinished,
    CallStarted,
    CallUsage,
    CellFinished,
    CellStarted,
    Logged,
    ResourceClosed,
    Retried,
)
from llmspell_kernel.journal.recorder import Recorder
from llmspell_kernel.observe.observation import Observation
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.policy.observe import ObservePolicy
from llmspell_kernel.redaction import Redactor
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import ResourceRef

from ..session.world import Probe
from .collector import Collector
from .runs import observed

TRACES = ObservePolicy(traces=True)
CLIENT, INTERNAL = 3, 1
UNSET, ERROR = 0, 2
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CHAT = {"lua": 'return llm.chat("SECRET question")', "javascript": 'await llm.chat("SECRET question")'}
NESTED = {
    "lua": "return probe.apply(function(n) hash.md5('x') return n end, 1)",
    "javascript": "await probe.apply(async n => { await hash.md5('x'); return n }, 1)",
}
STREAM = {
    "lua": "local all = '' for piece in llm.stream('a b c') do all = all .. piece end return all",
    "javascript": "let all = ''; for await (const piece of await llm.stream('a b c')) all += piece; all",
}
FAIL = {"lua": "error('SECRET answer')", "javascript": "throw new Error('SECRET answer')"}


@pytest.fixture(params=["lua", "javascript"])
def engine(request: Any) -> str:
    return str(request.param)


def test_each_cell_is_one_tree_with_its_calls_below_it(engine: str, collector: Collector) -> None:
    calls = {"lua": "hash.md5('a') hash.md5('b')", "javascript": "await hash.md5('a'); await hash.md5('b')"}[engine]
    observed(TRACES, calls, CHAT[engine], engine=engine)
    cells = [span for span in collector.spans if span.name == f"{engine} cell"]
    assert len(cells) == 2 and cells[0].trace != cells[1].trace
    assert all(cell.parent == "" and cell.service == "llmspell" for cell in cells)
    first, second = sorted(cells, key=lambda cell: cell.facts["llmspell.cell"])
    assert [span.name for span in collector.below(first)] == ["hash.md5", "hash.md5"]
    assert [span.name for span in collector.below(second)] == ["chat echo"]
    for cell in cells:
        for span in collector.below(cell):
            assert span.trace == cell.trace
            assert cell.start <= span.start <= span.end <= cell.end
    assert first.facts["llmspell.engine"] == engine and first.facts["llmspell.chunk"] == "cell[1]"
    assert (first.facts["llmspell.status"], first.status) == ("ok", UNSET)


def test_a_question_has_the_attributes_of_the_genai_conventions(engine: str, collector: Collector) -> None:
    observed(TRACES, CHAT[engine], engine=engine)
    span = collector.named("chat echo")
    assert span.kind == CLIENT
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "spell",
        "gen_ai.request.model": "echo",
        "gen_ai.response.finish_reasons": ["stop"],
        "llmspell.call": "llm.chat",
    }
    assert expected.items() <= span.facts.items()
    assert span.facts["gen_ai.usage.input_tokens"] > 0 and span.facts["gen_ai.usage.output_tokens"] > 0
    assert 0 <= span.facts["gen_ai.response.time_to_first_chunk"] <= span.end - span.start + 1e-6


def test_what_a_script_function_asks_in_a_call_is_in_the_same_tree(engine: str, collector: Collector) -> None:
    observed(TRACES, NESTED[engine], engine=engine, bridges=(Probe(),))
    cell = collector.named(f"{engine} cell")
    assert {span.trace for span in collector.spans} == {cell.trace}
    assert sorted(collector.names) == sorted([cell.name, "probe.apply", "hash.md5"])


def test_a_stream_is_one_span_until_its_end(engine: str, collector: Collector) -> None:
    observed(TRACES, STREAM[engine], engine=engine)
    cell, span = collector.named(f"{engine} cell"), collector.named("chat echo")
    assert span.parent == cell.id and span.facts["gen_ai.response.finish_reasons"] == ["stop"]
    assert span.facts["llmspell.call"] == "llm.stream"
    assert not [name for name in collector.names if name.endswith(".next")]


def test_neither_prompts_nor_answers_nor_messages_leave_unless_they_are_asked_for(engine: str, collector: Collector) -> None:
    observed(TRACES, CHAT[engine], FAIL[engine], engine=engine)
    assert len(collector.spans) == 3
    assert "SECRET" not in str(collector.spans)


@pytest.mark.parametrize("value", ["true", "SPAN_ONLY", "span_and_event"])
def test_prompts_and_answers_are_told_as_the_conventions_write_them(
    engine: str, value: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAPTURE, value)
    observed(TRACES, CHAT[engine], FAIL[engine], STREAM[engine], engine=engine)
    span, streamed = sorted((span for span in collector.spans if span.name == "chat echo"), key=lambda span: span.start)
    (asked,) = json.loads(span.facts["gen_ai.input.messages"])
    assert asked == {"role": "user", "parts": [{"type": "text", "content": "SECRET question"}]}
    (said,) = json.loads(span.facts["gen_ai.output.messages"])
    assert said["parts"][0]["content"] == "echo: SECRET question" and said["finish_reason"] == "stop"
    assert json.loads(streamed.facts["gen_ai.output.messages"])[0]["parts"][0]["content"] == "echo: a b c"
    (failed,) = [span for span in collector.spans if span.status == ERROR]
    assert "SECRET answer" in failed.message


@pytest.mark.parametrize("value", ["false", "event_only", "no_content", ""])
def test_other_words_capture_nothing_in_spans(value: str, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE, value)
    observed(TRACES, CHAT["lua"])
    assert "SECRET" not in str(collector.spans)


def test_a_failed_cell_and_a_failed_call_say_the_kind_of_their_error(engine: str, collector: Collector) -> None:
    call = {"lua": "llm.chat('x', {model = 'openai/gpt-4o-mini'})", "javascript": "await llm.chat('x', {model: 'openai/gpt-4o-mini'})"}
    observed(TRACES, call[engine], engine=engine)
    cell = collector.named(f"{engine} cell")
    (span,) = collector.below(cell)
    assert (cell.status, cell.facts["error.type"], cell.facts["llmspell.status"]) == (ERROR, "error", "error")
    assert (span.status, span.facts["error.type"]) == (ERROR, "missing_key")
    assert span.facts["gen_ai.provider.name"] == "openai" and span.facts["gen_ai.request.model"] == "gpt-4o-mini"


def test_a_refused_call_is_an_event_of_its_cell(engine: str, collector: Collector) -> None:
    code = {"lua": "pcall(hash.md5, 'SECRET')", "javascript": "try { await hash.md5('SECRET') } catch (e) {}"}[engine]
    observed(TRACES, code, engine=engine, grants=Grants(deny=("hash.*",)))
    (event,) = collector.named(f"{engine} cell").events
    assert event == ("llmspell.denied", {"llmspell.call": "hash.md5", "error.type": "denied"})


def test_a_lost_worker_and_the_state_that_came_back_are_events_of_their_cells(collector: Collector) -> None:
    loop = "return string.find(string.rep('a', 60), string.rep('a-', 60) .. 'b')"
    results = observed(TRACES, "x = 1", loop, "return x", settings=Settings(limits={"script_time_s": 0.2}))
    assert results[1].error is not None and results[2].values == [1]
    events = [event[0] for span in collector.spans for event in span.events]
    assert "llmspell.worker_lost" in events and "llmspell.state_restored" in events


def test_the_sampler_of_the_standard_variables_decides(engine: str, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    (result,) = observed(TRACES, CHAT[engine], engine=engine)
    assert result.error is None and collector.spans == [] and collector.paths == []


def test_a_ratio_keeps_or_drops_whole_trees(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    observed(TRACES, *["hash.md5('a')"] * 40)
    cells = {span.id for span in collector.spans if span.name == "lua cell"}
    assert 0 < len(cells) < 40
    assert {span.parent for span in collector.spans if span.name == "hash.md5"} == cells


def test_other_standard_variables_are_honoured(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my spells")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    observed(TRACES, "return 1")
    (span,) = collector.spans
    assert span.service == "my spells"
    assert collector.paths == ["/v1/traces"] and collector.headers[0]["x-team"] == "blue"


def test_a_disabled_sdk_sends_nothing(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    observed(TRACES, "return 1")
    assert collector.spans == []


def test_no_exporter_is_a_choice(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    observed(TRACES, "return 1")
    assert collector.spans == []


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("OTEL_TRACES_EXPORTER", "consol", "there is no exporter 'consol'; did you mean 'console'"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "pip install opentelemetry-exporter-otlp-proto-grpc"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "there is no protocol 'http/json'"),
    ],
)
def test_a_variable_that_says_nothing_is_told_before_anything_runs(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=words):
        Observation(TRACES, {variable: value})


def test_what_a_cassette_answered_costs_nothing_and_says_so(collector: Collector, tmp_path: Path) -> None:
    file = tmp_path / "a.cassette.jsonl"

    async def run(mode: Any) -> None:
        observation = Observation(TRACES, os.environ)
        async with Session(settings=Settings(model="spell/echo"), folder=tmp_path) as session:
            session.tape(mode, file)
            if mode == "replay":
                observation.start(session.recorder)
            await session.run(CHAT["lua"])
        observation.close()

    asyncio.run(run("record"))
    asyncio.run(run("replay"))
    span = collector.named("chat echo")
    assert span.facts["llmspell.replayed"] is True and "llmspell.usage.cost_usd" not in span.facts


def told(*events: AnyEvent) -> None:
    """Spans of events as they are written here."""
    observation, recorder = Observation(TRACES, os.environ), Recorder()
    observation.start(recorder)
    for event in events:
        recorder.record(event)
    observation.close()


def test_times_are_those_of_the_events_and_parents_are_kept_through_agents_and_tools(collector: Collector) -> None:
    told(
        CellStarted(1, 1000.0, "lua", "main", "cell[1]", "code"),
        CallStarted(1, 1001.0, 1, "agents", "run", []),
        CallStarted(1, 1002.0, 2, "tools", "call", [], parent=1),
        CallStarted(1, 1003.0, 3, "llm", "chat", ["x"], parent=2),
        Retried(1, 1003.2, 3, 2, 3, 0.5, "rate_limit", "SECRET"),
        CallUsage(1, 1004.0, 3, "openai/gpt-4o", 10, 5, 4, 0.5, attempts=2, finish_reason="stop"),
        BudgetWarned(1, 1004.1, "budgets.cell_requests", 4.0, 5.0),
        BudgetRefused(1, 1004.2, 2, "budgets.cell_cost_usd", 9.75, 10.0),
        CallFinished(1, 1004.5, 3, "y", 1.5),
        CallFinished(1, 1005.0, 2, None, 3.0),
        CallFailed(1, 1006.0, 1, "timeout", "SECRET", 5.0, retryable=True),
        CellFinished(1, 1007.0, "ok", 7.0),
    )
    cell, agent = collector.named("lua cell"), collector.named("agents.run")
    tool, chat = collector.named("tools.call"), collector.named("chat gpt-4o")
    assert [agent.parent, tool.parent, chat.parent] == [cell.id, agent.id, tool.id]
    assert [(span.start, span.end) for span in (cell, agent, tool, chat)] == [(1000, 1007), (1001, 1006), (1002, 1005), (1003, 1004.5)]
    assert (agent.status, agent.facts["error.type"], agent.facts["llmspell.retryable"], agent.message) == (ERROR, "timeout", True, "")
    facts = {"llmspell.attempt": 2, "llmspell.attempts": 3, "llmspell.wait_s": 0.5, "error.type": "rate_limit"}
    assert chat.events == [("llmspell.retried", facts)]
    assert cell.events == [
        ("llmspell.budget_warned", {"llmspell.budget": "budgets.cell_requests", "llmspell.used": 4.0, "llmspell.limit": 5.0}),
        ("llmspell.budget_refused", {"llmspell.budget": "budgets.cell_cost_usd", "llmspell.used": 9.75, "llmspell.limit": 10.0}),
    ]
    assert chat.facts["gen_ai.usage.cache_read.input_tokens"] == 4 and chat.facts["llmspell.usage.cost_usd"] == 0.5


def test_a_stream_that_breaks_has_the_failure_that_its_reader_met(collector: Collector) -> None:
    told(
        CellStarted(1, 1000.0, "lua", "main", "cell[1]", "code"),
        CallStarted(1, 1001.0, 1, "llm", "stream", ["x"]),
        CallFinished(1, 1001.5, 1, ResourceRef(7, "llm.stream"), 0.5),
        CallUsage(1, 1003.0, 1, "openai/gpt-4o", finish_reason="incomplete"),
        CallStarted(1, 1003.1, 2, "llm.stream", "next", [], target=7),
        CallFailed(1, 1003.2, 2, "connection_lost", "cut", 0.1, retryable=True),
        ResourceClosed(1, 1004.0, "main", 7, "llm.stream", "cell"),
        CellFinished(1, 1005.0, "error", 5.0, "cut"),
    )
    span = collector.named("chat gpt-4o")
    assert (span.start, span.end, span.status, span.facts["error.type"]) == (1001, 1003, ERROR, "connection_lost")
    assert collector.names == ["chat gpt-4o", "lua cell"]


@pytest.mark.parametrize("other", [("lua", "b"), ("javascript", "a")])
def test_a_stream_that_a_later_cell_reads_is_the_one_of_its_own_state(other: tuple[str, str], collector: Collector) -> None:
    """Numbers of streams count by state, so both are the first one."""
    events: list[AnyEvent] = []
    for cell, (engine, state) in enumerate([("lua", "a"), other], 1):
        events += [
            CellStarted(cell, 1000.0, engine, state, f"cell[{cell}]", ""),
            CallStarted(cell, 1001.0, cell, "llm", "stream", ["x"]),
            CallFinished(cell, 1001.5, cell, ResourceRef(1, "llm.stream"), 0.5),
        ]
    told(
        *events,
        CellStarted(3, 1002.0, *other, "cell[3]", ""),
        CallStarted(3, 1003.0, 3, "llm.stream", "next", [], target=1),
        CallFailed(3, 1004.0, 3, "timeout", "", 1.0),
        *(CallUsage(cell, 1005.0, cell, f"openai/{cell}", finish_reason="incomplete") for cell in (1, 2)),
        *(ResourceClosed(cell, 1006.0, state, 1, "llm.stream", "state") for cell, state in ((1, "a"), (2, other[1]))),
    )
    assert collector.named("chat 1").status == UNSET
    assert collector.named("chat 2").facts["error.type"] == "timeout"


def test_what_is_open_when_the_session_ends_ends_with_its_last_event(collector: Collector) -> None:
    told(
        CellStarted(1, 1000.0, "lua", "main", "cell[1]", "code"),
        CallStarted(1, 1001.0, 1, "timer", "sleep", [9]),
        CallAsked(1, 1001.5, 2, "files.write", False, 0.5, "SECRET"),
        Logged(1, 1002.0, "info", "SECRET", {}),
    )
    assert {span.name: span.end for span in collector.spans} == {"timer.sleep": 1002, "lua cell": 1002}
    assert collector.named("lua cell").events == [
        ("llmspell.asked", {"llmspell.call": "files.write", "llmspell.allowed": False, "llmspell.waited_s": 0.5}),
        ("llmspell.logged", {"llmspell.level": "info"}),
    ]


def test_what_a_cell_left_in_the_background_stays_in_its_tree(collector: Collector) -> None:
    told(
        CellStarted(1, 1000.0, "lua", "main", "cell[1]", "code"),
        CellFinished(1, 1001.0, "ok", 1.0),
        CallStarted(1, 1002.0, 1, "hash", "md5", ["x"]),
        CallFinished(1, 1003.0, 1, "y", 1.0),
    )
    assert collector.named("hash.md5").parent == collector.named("lua cell").id


def test_a_cell_is_below_the_span_that_the_users_own_program_has_open(collector: Collector) -> None:
    tracer = TracerProvider().get_tracer("a program")
    with tracer.start_as_current_span("request") as span:
        told(CellStarted(1, 1000.0, "lua", "main", "cell[1]", "code"), CellFinished(1, 1001.0, "ok", 1.0))
    assert collector.named("lua cell").parent == f"{span.get_span_context().span_id:016x}"


def test_a_secret_is_in_no_span_although_content_is_told(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAPTURE, "true")
    redactor = Redactor()
    redactor.learn("token", "s3cr3t-value-of-ours")
    observation, recorder = Observation(TRACES, os.environ), Recorder(redactor=redactor)
    observation.start(recorder)
    for event in (
        CellStarted(1, 1000.0, "lua", "main", "cell[1]", "code"),
        CallStarted(1, 1001.0, 1, "llm", "chat", ["use s3cr3t-value-of-ours"]),
        CallChunk(1, 1002.0, 1, "it is s3cr3t-va"),
        CallChunk(1, 1002.0, 1, "lue-of-ours"),
        CallUsage(1, 1003.0, 1, "m", 1, 1),
        CallFailed(1, 1003.0, 1, "timeout", "s3cr3t-value-of-ours", 2.0),
        CellFinished(1, 1004.0, "error", 4.0, "s3cr3t-value-of-ours"),
    ):
        recorder.record(event)
    observation.close()
    assert len(collector.spans) == 2 and "[secret token]" in str(collector.spans)
    assert "s3cr3t" not in str(collector.spans)


FOREIGN = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from llmspell_kernel.settings import Settings
from llmspell_kernel.spells.running import run
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
run("hash.md5('a')", engine="lua", settings=Settings(observe={"traces": True}))
run("hash.md5('a')", engine="lua", settings=Settings(observe={"traces": True}))
print([span.name for span in exporter.get_finished_spans()])
"""


def test_a_tracer_provider_of_the_users_own_program_is_used_and_left_open(collector: Collector, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FOREIGN], cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False)
    assert done.stdout == f"{['hash.md5', 'lua cell'] * 2}\n", done.stderr
    assert collector.spans == []
