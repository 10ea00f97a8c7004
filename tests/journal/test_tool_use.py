"""What tools came to, by events."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.journal.events import AnyEvent, CallFailed, CallFinished, CallStarted, CallUsage
from llmspell_kernel.journal.tool_use import ToolUse


def rows(*journals: list[AnyEvent]) -> list[dict[str, Any]]:
    use = ToolUse()
    for events in journals:
        use.read(events)
    return use.rows()


def tool(call: int, name: Any, parent: int | None = None) -> CallStarted:
    return CallStarted(1, 0.0, call, "tools", "call", [name, {}], parent)


def used(call: int, cost_usd: float | None) -> CallUsage:
    return CallUsage(1, 0.0, call, "a/b", 10, 5, 0, cost_usd)


def test_calls_failures_times_and_what_models_took_are_added_up_over_journals() -> None:
    asked = CallStarted(1, 0.0, 2, "llm", "chat", ["hi"], 1)
    one: list[AnyEvent] = [tool(1, "ask"), asked, used(2, 0.5), CallFinished(1, 0.0, 1, "x", 2.0, False)]
    two: list[AnyEvent] = [tool(1, "ask"), CallFailed(1, 0.0, 1, "invalid_arguments", "", 0.1)]
    assert rows(one, two) == [
        {
            "name": "ask",
            "calls": 2,
            "failures": {"invalid_arguments": 1},
            "latency_p50_s": 2.0,
            "latency_p95_s": 2.0,
            "tokens": 15,
            "cost_usd": 0.5,
            "unpriced": 0,
        }
    ]


def test_what_a_model_took_counts_for_every_tool_around_it_once() -> None:
    events: list[AnyEvent] = [
        tool(1, "outer"),
        tool(2, "inner", 1),
        tool(3, "outer", 2),
        used(3, None),
        CallFinished(1, 0.0, 3, 1, 1.0, False),
    ]
    told = {row["name"]: (row["calls"], row["tokens"], row["unpriced"]) for row in rows(events)}
    assert told == {"outer": (1, 15, 1), "inner": (0, 15, 1)}


def test_unknown_tools_names_that_are_none_and_rings_of_calls_are_left_out() -> None:
    ring = [CallStarted(1, 0.0, 8, "llm", "chat", [], 9), CallStarted(1, 0.0, 9, "llm", "chat", [], 8), used(8, 1.0)]
    wrong = [tool(1, 7), tool(2, "x" * 65), CallStarted(1, 0.0, 3, "tools", "call", []), tool(4, "typo")]
    ends: list[AnyEvent] = [CallFinished(1, 0.0, call, None, 1.0, False) for call in (1, 2, 3)]
    assert rows([*ring, *wrong, *ends, CallFailed(1, 0.0, 4, "unknown_tool", "", 0.1)]) == []
