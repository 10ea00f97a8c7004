"""What a trace for a terminal says of retries and budgets."""

from __future__ import annotations

import pytest

from llmspell_kernel.journal.events import (
    AnyEvent,
    BudgetRefused,
    BudgetWarned,
    CallDenied,
    CallFailed,
    CallFinished,
    CallStarted,
    CallUsage,
    CellFinished,
    CellStarted,
    Retried,
)
from llmspell_kernel.render.calls import MAX_RETRIES, gather
from llmspell_kernel.render.journal import trace_text
from llmspell_kernel.values import ResourceRef, Value

EVENTS: list[AnyEvent] = [
    CellStarted(1, 1.0, "lua", "main", "cell[1]", ""),
    CallStarted(1, 1.0, 1, "llm", "chat", ["hi"]),
    Retried(1, 1.1, 1, 2, 3, 0.5, "rate_limit", "too\x1b[2J many"),
    Retried(1, 1.2, 1, 3, 3, 1.5, "server_error", "busy\nagain"),
    CallUsage(1, 1.3, 1, "a/b", 1, 1, 0, 0.0, 3, "stop"),
    BudgetWarned(1, 1.3, "budgets.cell_requests", 4.0, 5.0),
    CallFinished(1, 1.4, 1, "yes", 0.4),
    CallStarted(1, 1.5, 2, "llm", "chat", ["more"]),
    BudgetRefused(1, 1.5, 2, "budgets.cell_requests", 5.0, 5.0),
    CallFailed(1, 1.6, 2, "limit", "no more", 0.1),
    CellFinished(1, 2.0, "error", 1.0),
]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (5, "→ 5"),
        (False, "→ false"),
        ("", '→ ""'),
        ({"rows": [1, 2.5], "name": "tea"}, '→ {"rows": [1, 2.5], "name": "tea"}'),
        (ResourceRef(7, "agent.agent"), "→ <agent.agent>"),
    ],
)
def test_an_answer_that_is_no_text_is_shown_too(value: Value, shown: str) -> None:
    inner = [CallStarted(1, 1.0, 1, "tools", "call", ["calculate", {"expression": "2+3"}]), CallFinished(1, 1.1, 1, value, 0.1)]
    told = trace_text([EVENTS[0], *inner, EVENTS[-1]])
    assert shown in [line.strip("│ ") for line in told.splitlines()]


def test_a_large_answer_is_cut_to_a_line_and_one_of_nothing_or_a_stream_is_none() -> None:
    def told(value: Value) -> str:
        return trace_text([EVENTS[0], CallStarted(1, 1.0, 1, "llm", "stream", []), CallFinished(1, 1.1, 1, value, 0.1), EVENTS[-1]])

    (large,) = (line for line in told({"rows": [{"a": "x\n" * 50}] * 1_000}).splitlines() if "→" in line)
    assert len(large) < 400
    assert "→" not in told(None) and "→" not in told(ResourceRef(1, "llm.stream"))


def test_each_further_attempt_is_named_with_what_failed_before_it() -> None:
    lines = [line.strip("│ ") for line in trace_text(EVENTS).splitlines()]
    assert "attempt 2 of 3 after 0.5 s: rate_limit: too many" in lines
    assert "attempt 3 of 3 after 1.5 s: server_error: busy again" in lines
    assert not [char for char in trace_text(EVENTS) if char != "\n" and not char.isprintable()]


def test_budgets_that_were_near_or_met_stand_with_their_cell_and_call() -> None:
    lines = [line.strip("│ ") for line in trace_text(EVENTS).splitlines()]
    assert "budgets.cell_requests: 4 of 5 used" in lines
    assert "budgets.cell_requests did not allow it: 5 of 5 used" in lines


def test_a_journal_from_anywhere_can_name_no_end_of_attempts() -> None:
    many: list[AnyEvent] = [Retried(1, 1.1, 1, at, 9, 0.5, "x" * 10_000, "y" * 100_000) for at in range(1_000)]
    (call,) = gather([EVENTS[1], *many]).roots
    assert len(call.notes) == MAX_RETRIES and max(map(len, call.notes)) < 10_000


@pytest.mark.parametrize(("code", "icon"), [("denied", "⊘"), ("interrupted", "⊘"), ("resource", "✗"), ("argument", "✗")])
def test_a_call_that_did_not_begin_is_shown_as_denied_only_where_it_was(code: str, icon: str) -> None:
    started, ended = CellStarted(1, 0.0, "lua", "main", "cell[1]", "x"), CellFinished(1, 0.0, "error", 0.1, "it is closed")
    told = trace_text([started, CallDenied(1, 0.0, 1, "llm", "chat", ["x"], code, "it is closed"), ended])
    assert f"└─ {icon} llm.chat" in told


def test_a_message_of_a_call_that_ended_its_cell_is_told_once() -> None:
    started, ended = CellStarted(1, 0.0, "lua", "main", "cell[1]", "x"), CellFinished(1, 0.0, "error", 0.1, "it is closed")
    refused = CallDenied(1, 0.0, 1, "llm", "chat", ["x"], "resource", "it is closed")
    assert trace_text([started, refused, ended]).count("it is closed") == 1
    assert trace_text([started, ended]).count("it is closed") == 1
