"""Figures of models, by events as sessions write them and as a stranger could."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmspell_kernel.journal.event_text import header, line_of, read
from llmspell_kernel.journal.events import AnyEvent, CallChunk, CallFailed, CallFinished, CallStarted, CallUsage, CellStarted
from llmspell_kernel.journal.performance import ModelCall, calls_of, figures, percentile, performance
from llmspell_kernel.session.model_records import MOST_BYTES, ModelRecords
from llmspell_kernel.values import ResourceRef

DAY = 24 * 3600.0
MODEL = "openai/gpt-4o-mini"


def call(number: int, time: float, duration_s: float = 1.0, *, model: str = MODEL, cost: float | None = 0.5, **how: Any) -> list[AnyEvent]:
    """One call that streams its text half way through."""
    started: list[AnyEvent] = [
        CallStarted(1, time, number, "llm", "chat", ["x"]),
        CallChunk(1, time + duration_s / 2, number, "a"),
        CallChunk(1, time + duration_s, number, "b"),
        CallUsage(1, time + duration_s, number, model, 10, 20, 4, cost, finish_reason="stop"),
    ]
    if "code" in how:
        return [*started, CallFailed(1, time + duration_s, number, how["code"], "", duration_s, cancelled=how.get("cancelled", False))]
    return [*started, CallFinished(1, time + duration_s, number, "ab", duration_s, how.get("replayed", False))]


def stream(time: float, *, reason: str = "stop", failure: str = "") -> list[AnyEvent]:
    events: list[AnyEvent] = [
        CallStarted(1, time, 1, "llm", "stream", ["x"]),
        CallFinished(1, time + 0.01, 1, ResourceRef(7, "llm.stream"), 0.01),
        CallChunk(1, time + 1, 1, "a"),
        CallUsage(1, time + 4, 1, MODEL, 10, 20, 0, 0.5, finish_reason=reason),
        CallStarted(1, time + 4, 2, "llm.stream", "next", [], target=7),
    ]
    if failure:
        return [*events, CallFailed(1, time + 4, 2, failure, "", 0.1)]
    return [*events, CallFinished(1, time + 4, 2, None, 0.1)]


def test_a_call_has_its_times_tokens_and_cost() -> None:
    (found,) = calls_of(call(1, 1000.0, 2.0))
    assert found == ModelCall(MODEL, 1000.0, 2.0, "", 1.0, 10, 20, 4, 0.5)


def test_a_stream_takes_until_its_end_and_not_until_it_was_opened() -> None:
    (found,) = calls_of(stream(1000.0))
    assert (found.duration_s, found.first_s, found.failure) == (4.0, 1.0, "")


def test_a_stream_fails_where_it_is_read_and_one_that_was_left_is_cancelled() -> None:
    assert [found.failure for found in calls_of(stream(1000.0, reason="incomplete", failure="connection_lost"))] == ["connection_lost"]
    assert [found.failure for found in calls_of(stream(1000.0, reason="incomplete"))] == ["cancelled"]


@pytest.mark.parametrize("other", [("lua", "b"), ("javascript", "a")])
def test_a_stream_that_fails_is_the_one_of_its_own_state(other: tuple[str, str]) -> None:
    """Numbers of streams count by state, so both are the first one."""
    events: list[AnyEvent] = []
    for cell, (engine, state) in enumerate([("lua", "a"), other], 1):
        events += [
            CellStarted(cell, 1000.0, engine, state, f"cell[{cell}]", ""),
            CallStarted(cell, 1001.0, cell, "llm", "stream", ["x"]),
            CallFinished(cell, 1001.5, cell, ResourceRef(1, "llm.stream"), 0.5),
            CallUsage(cell, 1003.0, cell, f"model/{engine}-{state}", 1, 1, 0, 0.5, finish_reason="stop"),
        ]
    later = CellStarted(3, 1004.0, "lua", "a", "cell[3]", "")  # a stream may be read in a later cell of its state
    events += [later, CallStarted(3, 1004.0, 3, "llm.stream", "next", [], target=1), CallFailed(3, 1005.0, 3, "timeout", "", 1.0)]
    assert [found.failure for found in calls_of(events)] == ["timeout", ""]


def test_calls_that_asked_no_model_are_none() -> None:
    assert calls_of([CallStarted(1, 1.0, 1, "hash", "md5", []), CallFinished(1, 2.0, 1, "x", 1.0)]) == []


def test_figures_are_those_of_the_calls() -> None:
    events = [event for number in range(20) for event in call(number, 1000.0 + number, float(number + 1))]
    events += call(20, 1000.0, 90.0, code="rate_limit") + call(21, 1000.0, 90.0, code="rate_limit") + call(22, 1000.0, code="timeout")
    events += call(23, 1000.0, code="cancelled", cancelled=True) + call(24, 1000.0, cost=None) + call(25, 1000.0, replayed=True)
    found = figures(calls_of(events))
    assert (found.calls, found.replayed) == (25, 1)
    assert found.failures == {"cancelled": 1, "rate_limit": 2, "timeout": 1}
    assert (found.latency_p50_s, found.latency_p95_s) == (10.0, 19.0)
    assert (found.first_token_p50_s, found.first_token_p95_s) == (5.0, 9.5)
    assert found.tokens_per_s == round(21 * 20 / 211, 3)
    assert (found.cost_usd, found.unpriced) == (12.0, 1)
    assert (found.input_tokens, found.cached_tokens, found.output_tokens) == (250, 100, 500)


def test_nothing_to_measure_is_none_and_not_zero() -> None:
    found = figures([])
    assert (found.calls, found.latency_p50_s, found.latency_p95_s, found.first_token_p50_s, found.tokens_per_s) == (
        0,
        None,
        None,
        None,
        None,
    )
    (silent,) = calls_of([event for event in call(1, 1000.0) if not isinstance(event, CallChunk)])
    assert figures([silent]).first_token_p50_s is None


@pytest.mark.parametrize(
    ("values", "percent", "expected"), [([], 50, None), ([3.0], 95, 3.0), ([4.0, 1.0, 3.0, 2.0], 50, 2.0), (list(range(1, 101)), 95, 95)]
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], percent: int, expected: float | None) -> None:
    assert percentile(values, percent) == expected


def test_days_and_models_are_apart_and_since_and_name_choose() -> None:
    calls = calls_of([*call(1, DAY * 20_000), *call(2, DAY * 20_001, 3.0), *call(3, DAY * 20_001 + 9, model="ollama/x")])
    found = performance(calls)
    assert [(day["day"], day["calls"]) for day in found["days"]] == [("2024-10-04", 1), ("2024-10-05", 2)]
    assert [(model["model"], model["calls"]) for model in found["models"]] == [("ollama/x", 1), (MODEL, 2)]
    assert performance(calls, "ollama/x")["calls"] == 1
    assert performance(calls, since_s=DAY * 20_000 + 1)["calls"] == 2
    assert performance(calls, MODEL, DAY * 20_000 + 1)["latency_p50_s"] == 3.0
    assert performance(calls, "unknown")["days"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"time": 1e300},
        {"time": -5.0},
        {"input_tokens": -1},
        {"output_tokens": 2**60},
        {"cached_tokens": -(2**60)},
        {"cost_usd": 1e308},
        {"cost_usd": -1.0},
    ],
)
def test_numbers_that_no_session_writes_are_left_out(change: dict[str, Any]) -> None:
    events = call(1, 1000.0) + [
        msgspec.structs.replace(event, **change) if isinstance(event, CallUsage) else event for event in call(2, 1000.0)
    ]
    found = read(header("1", 0.0) + b"".join(map(line_of, events)), "x")
    assert found.unreadable == 1 and len(calls_of(found.events)) == 1
    assert performance(calls_of(found.events))["cost_usd"] == 0.5


def test_times_that_go_backwards_and_calls_that_never_end_do_no_harm() -> None:
    events: list[AnyEvent] = [
        CallStarted(1, 2000.0, 1, "llm", "chat", []),
        CallUsage(1, 1000.0, 1, MODEL),
        CallFinished(1, 1000.0, 1, "", 0.0),
        CallStarted(1, 2000.0, 2, "llm", "chat", []),
        CallUsage(1, 2000.0, 2, "x" * 10_000),
        CallFinished(1, 1000.0, 99, "", 0.0),
        CallFailed(1, 1000.0, 98, "x", "", 0.0),
    ]
    (found,) = calls_of(events)
    assert found.duration_s == 0.0


def journal(folder: Path, name: str, events: list[AnyEvent]) -> Path:
    file = folder / ".llmspell" / "journal" / f"{name}.journal.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(header("1", 0.0) + b"".join(map(line_of, events)))
    return file


def asked(records: ModelRecords, name: str = "", since_s: float = 0.0) -> dict[str, Any]:
    return asyncio.run(records.performance(name, since_s))


def test_all_journals_of_a_project_count_although_their_calls_have_the_same_ids(tmp_path: Path) -> None:
    journal(tmp_path, "a", call(1, 1000.0))
    journal(tmp_path, "b", call(1, 2000.0) + call(2, 3000.0))
    found = asked(ModelRecords(tmp_path))
    assert (found["calls"], found["journals"], found["left_out"]) == (3, 2, 0)


def test_a_journal_that_has_grown_is_read_again(tmp_path: Path) -> None:
    file, records = journal(tmp_path, "a", call(1, 1000.0)), ModelRecords(tmp_path)
    assert asked(records)["calls"] == 1
    file.write_bytes(file.read_bytes() + b"".join(map(line_of, call(2, 2000.0))))
    assert asked(records)["calls"] == 2


def test_a_journal_that_stays_as_it_was_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal(tmp_path, "a", call(1, 1000.0))
    records = ModelRecords(tmp_path)
    assert asked(records)["calls"] == 1
    monkeypatch.setattr("llmspell_kernel.session.model_records.load_events", None)
    assert asked(records)["calls"] == 1


def test_what_is_no_journal_is_counted_and_left_out(tmp_path: Path) -> None:
    journal(tmp_path, "a", call(1, 1000.0))
    folder = tmp_path / ".llmspell" / "journal"
    (folder / "b.journal.jsonl").write_bytes(b"\x00\xff no journal")
    os.mkfifo(folder / "c.journal.jsonl")
    (folder / "d.journal.jsonl").mkdir()
    (folder / "e.journal.jsonl").symlink_to(tmp_path / "nowhere")
    found = asked(ModelRecords(tmp_path))
    assert (found["calls"], found["journals"], found["left_out"]) == (1, 1, 3)


def test_journals_beyond_the_limit_of_bytes_are_left_out_the_oldest_first(tmp_path: Path) -> None:
    journal(tmp_path, "a", call(1, 1000.0))
    with (tmp_path / ".llmspell" / "journal" / "b.journal.jsonl").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    journal(tmp_path, "c", call(1, 1000.0))
    found = asked(ModelRecords(tmp_path))
    assert (found["calls"], found["journals"], found["left_out"]) == (1, 1, 2)


def test_a_project_without_journals_has_no_figures(tmp_path: Path) -> None:
    found = asked(ModelRecords(tmp_path))
    assert (found["calls"], found["journals"], found["days"]) == (0, 0, [])
