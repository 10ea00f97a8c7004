"""Which of several models is asked next.  Pure: by what is known of them here, and by chance where that leaves a choice.

The names of the strategies are those of litellm's Router, which does not do the work.  It asks again and falls back within one call, past budgets
and trace, and its streams do not tell that they were cut; it has no price for a name with its provider in front; its counts of busy models miss
answers that were stopped; and the process keeps the records of one Router alone, so that those of a second session stay empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .routes import Route

SHUFFLE = "simple-shuffle"
Price = Callable[[str], float]
"""What a token in and one out cost, infinity where that is not known."""


def next_route(strategy: str, weights: Mapping[str, float], routes: Sequence[Route], now: float, price: Price, chance: float) -> Route:
    """One of `routes`, of which there is at least one.  `chance` is a random number below 1."""
    best = routes if strategy == SHUFFLE else _lowest(routes, _MEASURES[strategy], now, price)
    left = chance * sum(_weight(weights, route) for route in best)
    for route in best:
        left -= _weight(weights, route)
        if left < 0:
            return route
    return best[-1]  # where the sum was rounded


def _lowest(routes: Sequence[Route], measure: Callable[[Route, float, Price], float], now: float, price: Price) -> Sequence[Route]:
    found = [measure(route, now, price) for route in routes]
    least = min(found)
    return [route for route, value in zip(routes, found, strict=True) if value == least]


_MEASURES: Mapping[str, Callable[[Route, float, Price], float]] = {
    "least-busy": lambda route, now, price: route.in_flight,
    "latency-based-routing": lambda route, now, price: route.latency_s,
    "usage-based-routing": lambda route, now, price: route.tokens_in_minute(now),
    "cost-based-routing": lambda route, now, price: price(route.model),
}
STRATEGIES = (SHUFFLE, *_MEASURES)


def _weight(weights: Mapping[str, float], route: Route) -> float:
    return weights.get(route.model, 1.0)
