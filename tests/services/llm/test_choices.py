"""Which models fit a purpose, in which order, and why."""

from __future__ import annotations

import pytest

from llmspell_kernel.errors import ArgumentError
from llmspell_kernel.services.llm.catalogue import installed_prices
from llmspell_kernel.services.llm.choices import PREFERENCES, TASKS, Measured, Wish, choices, measured_of
from llmspell_kernel.services.llm.listing import Listed, Listing

TODAY = "2026-11-01"


def model(name: str, input_usd: float | None = 1.0, output_usd: float | None = 1.0, window: int = 1_000, **more: object) -> Listed:
    rest = {"mode": "chat", "max_output": 0, "cached_input_usd": None, "supports": (), **more}
    return Listed(name=f"p/{name}", provider="p", context_window=window, input_usd=input_usd, output_usd=output_usd, **rest)  # type: ignore[arg-type]


def names(models: list[Listed], measured: dict[str, Measured] | None = None, **wish: object) -> list[str]:
    found = choices(models, Wish(limit=10, input_tokens=100, output_tokens=10)._replace(**wish), measured or {}, TODAY)
    return [choice["name"].removeprefix("p/") for choice in found]


def test_the_cheapest_come_first_and_unknown_prices_last() -> None:
    models = [model("unknown", None), model("dear", 9), model("cheap", 1), model("free", 0, 0)]
    assert names(models) == ["free", "cheap", "dear", "unknown"]


def test_a_budget_is_for_one_call_and_leaves_out_what_has_no_price() -> None:
    models = [model("unknown", None), model("dear", 1_000), model("cheap", 1)]
    assert names(models, budget=0.001) == ["cheap"]
    assert names(models, budget=0.0) == []


def test_what_is_needed_by_the_task_and_beside_it_is_supported() -> None:
    models = [model("both", supports=("json", "vision")), model("json", supports=("json",)), model("none")]
    assert names(models, task="extract") == ["both", "json"]
    assert names(models, task="extract", needs=("vision",)) == ["both"]


def test_the_longest_and_the_good_and_the_fast_come_first_where_they_are_preferred() -> None:
    models = [model("short", 1, window=1_000), model("long", 2, window=9_000), model("thinks", 3, supports=("reasoning",))]
    assert names(models, prefer="long")[0] == "long"
    assert names(models, prefer="good") == ["thinks", "long", "short"]
    measured = {"p/long": Measured(9, 0.0, 0.2, 50.0), "p/thinks": Measured(9, 0.0, 2.0, 50.0)}
    assert names(models, measured, prefer="fast") == ["long", "thinks", "short"]


def test_what_fails_often_here_comes_last_but_not_by_chance() -> None:
    models = [model("bad", 1), model("good", 9)]
    assert names(models, {"p/bad": Measured(10, 0.5, 1.0, None)}) == ["good", "bad"]
    assert names(models, {"p/bad": Measured(2, 0.5, 1.0, None)}) == ["bad", "good"]


def test_what_is_gone_or_too_short_is_left_out() -> None:
    models = [model("gone", deprecated="2026-10-31"), model("going", deprecated="2026-12-31"), model("short", window=10)]
    assert names(models) == ["going"]


def test_each_reason_tells_what_was_measured_and_what_is_known() -> None:
    measured = measured_of(
        {"models": [{"model": "p/a", "calls": 4, "failures": {"timeout": 1, "cancelled": 1}, "latency_p50_s": 0.5, "tokens_per_s": 9.0}]}
    )
    seen, unknown = choices([model("a"), model("b", None)], Wish(input_tokens=100, output_tokens=10), measured, TODAY)
    assert "here 0.5 s and 25% failures in 4 calls" in seen["reason"]
    assert (seen["calls"], seen["failure_rate"], seen["latency_p50_s"]) == (4, 0.25, 0.5)
    assert "its price is unknown" in unknown["reason"] and "not measured here yet" in unknown["reason"]
    assert "cost_usd" not in unknown and "calls" not in unknown


def test_unknown_tasks_and_needs_are_told_with_the_nearest() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'summarize'"):
        names([], task="summarise")
    with pytest.raises(ArgumentError, match="did you mean 'tools'"):
        names([], needs=("tool",))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("prefer", PREFERENCES)
def test_the_installed_list_has_models_for_every_task(task: str, prefer: str) -> None:
    found = choices(Listing(installed_prices).chosen(), Wish(task=task, prefer=prefer), {}, TODAY)
    assert len(found) == 5 and all(choice["reason"] for choice in found)
