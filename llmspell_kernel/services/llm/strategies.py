"""Which of several models is asked next: litellm's Router, one a session, which keeps the records that its strategies need.

It only chooses: calls are made as for any model, one request an attempt, and tell litellm by their metadata whose they are, so that its
callbacks count latency.  What it would do beside choosing is done elsewhere: it would ask again and fall back within one call, past
budgets and trace; its cooldowns let a time that is set overrule Retry-After; its counts of busy models and of tokens miss answers that were
stopped, and it knows no price of a name that has its provider in front: so these are counted here, and it chooses among the best.  Models of
`spell/` are no concern of litellm's, which is not imported for a router that has no others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from llmspell_kernel.errors import InternalError

from .litellm_library import LitellmLibrary
from .providers import SPELL_PROVIDER
from .routes import Route

if TYPE_CHECKING:
    from .routing import RouterOptions

STRATEGIES = {
    "simple-shuffle": "simple-shuffle",
    "least-busy": "simple-shuffle",  # among those that are the least busy
    "latency-based-routing": "latency-based-routing",
    "usage-based-routing": "simple-shuffle",  # among those with the fewest tokens in this minute
    "cost-based-routing": "simple-shuffle",  # among the cheapest
}
STAND_IN = "openai/llmspell-stand-in"
"""A name that litellm takes, for a model that it does not know.  It is never asked."""


class Strategies:
    """`price` gives what a token in and one out cost, infinity where that is not known."""

    def __init__(self, library: LitellmLibrary, price: Callable[[str], float]) -> None:
        self._library = library
        self._price = price
        self._router: Any = None
        self._strategy_of: dict[str, str] = {}

    def tag(self, router: str, model: str) -> Mapping[str, Any]:
        """What a call of the model tells litellm, beside the question: whose latency and tokens it counts."""
        if _is_ours(model):
            return {}
        info = {"id": _id(router, model)}
        return {"metadata": {"model_group": router, "deployment": model, "model_info": info}, "model_info": info}

    async def choose(self, options: RouterOptions, name: str, routes: Sequence[Route], now: float) -> Route:
        """One of `routes`, of which there is at least one."""
        if options.strategy == "least-busy":
            routes = _lowest(routes, lambda route: route.in_flight)
        if options.strategy == "usage-based-routing":
            routes = _lowest(routes, lambda route: route.tokens_in_minute(now))
        if options.strategy == "cost-based-routing":
            routes = _lowest(routes, lambda route: self._price(route.model))
        if len(routes) == 1:
            return routes[0]
        if all(_is_ours(model) for model in options.models):
            return random.choices(routes, [_weight(options, route.model) for route in routes])[0]  # noqa: S311  guards nothing
        return await self._asked(options, name, routes)

    def forget(self, router: str) -> None:
        """Its models are others now."""
        if self._strategy_of.pop(router, None) is not None:
            for id in self._router.get_model_ids(model_name=router):
                self._router.delete_deployment(id=id)

    def close(self) -> None:
        """Takes the Router out of litellm's lists of who is told of calls, which live as long as the process."""
        if self._router is not None:
            self._router.update_settings(routing_groups=[])
            self._router.discard()
            self._router = None

    async def _asked(self, options: RouterOptions, name: str, routes: Sequence[Route]) -> Route:
        await self._library.module()
        self._ready(options, name)
        by_id = {_id(name, route.model): route for route in routes}
        left_out = [id for model in options.models if (id := _id(name, model)) not in by_id]
        request = {"metadata": {}, "_excluded_deployment_ids": left_out}
        chosen = await self._router.async_get_available_deployment(model=name, messages=[], request_kwargs=request)
        route = by_id.get(chosen["model_info"]["id"])
        if route is None:
            raise InternalError(f"litellm's Router chose a model of {name} that it was not offered; please report this")
        return route

    def _ready(self, options: RouterOptions, name: str) -> None:
        if name in self._strategy_of:
            return
        from litellm import Router
        from litellm.types.router import Deployment

        if self._router is None:
            self._router = Router(model_list=[], num_retries=0, disable_cooldowns=True)
        for model in options.models:
            params = {"model": STAND_IN if _is_ours(model) else model, **({"weight": _weight(options, model)} if options.weights else {})}
            self._router.add_deployment(Deployment(model_name=name, litellm_params=params, model_info={"id": _id(name, model)}))
        self._strategy_of[name] = STRATEGIES[options.strategy]
        groups = [
            {"group_name": f"group of {router}", "models": [router], "routing_strategy": strategy}
            for router, strategy in self._strategy_of.items()
        ]
        self._router.update_settings(routing_groups=groups)


def _lowest(routes: Sequence[Route], key: Callable[[Route], float]) -> Sequence[Route]:
    least = min(key(route) for route in routes)
    return [route for route in routes if key(route) == least]


def _is_ours(model: str) -> bool:
    return model.startswith(f"{SPELL_PROVIDER}/")


def _id(router: str, model: str) -> str:
    """litellm takes ids apart at their colons, which names of models have."""
    return sha256(f"{router} {model}".encode()).hexdigest()[:32]


def _weight(options: RouterOptions, model: str) -> float:
    return (options.weights or {}).get(model, 1.0)
