"""Which of several models is asked next."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from llmspell_kernel.services.llm.routes import LATENCIES, Route
from llmspell_kernel.services.llm.strategies import STRATEGIES, next_route

PRICES = {"a": 3.0, "b": 1.0, "c": math.inf}


def routes() -> list[Route]:
    """a is the fastest, b the cheapest, c the least busy and the least used."""
    a, b, c = (Route(name) for name in "abc")
    for route, first_s, tokens in ((a, 0.1, 100), (b, 0.9, 100), (c, 0.5, 1)):
        route.answered_after(first_s)
        route.used(tokens, 0.0)
    a.begin(0.0, None)
    b.begin(0.0, None)
    return [a, b, c]


def chosen(strategy: str, weights: dict[str, float] | None = None) -> Counter[str]:
    return Counter(next_route(strategy, weights or {}, routes(), 1.0, PRICES.__getitem__, number / 100).model for number in range(100))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("latency-based-routing", "a"), ("cost-based-routing", "b"), ("least-busy", "c"), ("usage-based-routing", "c")],
)
def test_the_best_by_its_measure_is_asked_whatever_its_weight(strategy: str, expected: str) -> None:
    assert set(chosen(strategy)) == set(chosen(strategy, {"a": 0.1, "b": 0.1, "c": 0.1})) == {expected}
    assert strategy in STRATEGIES


def test_any_is_asked_by_its_weight_where_the_strategy_is_none() -> None:
    assert chosen("simple-shuffle") == {"a": 34, "b": 33, "c": 33}
    assert chosen("simple-shuffle", {"a": 8.0}) == {"a": 80, "b": 10, "c": 10}


def test_one_that_was_not_measured_yet_is_asked_first_and_the_last_answers_count() -> None:
    found = [*routes(), Route("new")]
    assert next_route("latency-based-routing", {}, found, 1.0, PRICES.get, 0.5).model == "new"  # type: ignore[arg-type]
    slowed = Route("a")
    slowed.answered_after(0.1)
    for _ in range(LATENCIES):
        slowed.answered_after(9.0)
    assert slowed.latency_s == 9.0


@pytest.mark.parametrize("chance", [0.0, 1 - 2**-53])
def test_every_chance_chooses_one(chance: float) -> None:
    found = [Route(str(number)) for number in range(7)]
    weights = {str(number): 0.1 for number in range(7)}
    assert next_route("simple-shuffle", weights, found, 0.0, PRICES.get, chance) in found  # type: ignore[arg-type]
