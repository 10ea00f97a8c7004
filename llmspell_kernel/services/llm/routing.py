"""Routers: a name that several models answer to, by a strategy, with others to fall back on.

`RoutedCall` is the `Model` of one answer.  Each of its attempts asks one model, so that budgets, ledger and trace know every request that was
sent; when nothing of an answer has come, the next attempt asks another model at once (strategies.py says which).
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Annotated, Any, Literal

import msgspec

from llmspell_kernel.errors import ArgumentError, BridgeError, nearest

from .models import AT_ONCE, Count, Delta, Model, Request, Seconds
from .retries import Retry, next_attempt
from .routes import MOVES_ON, Route
from .strategies import Price, next_route

ROUTER_PREFIX = "router/"
MOST_ROUTERS = 64
MOST_MODELS = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
Strategy = Literal["simple-shuffle", "least-busy", "latency-based-routing", "usage-based-routing", "cost-based-routing"]
Fails = Annotated[int, msgspec.Meta(ge=0, le=1_000)]


class RouterOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which models answer, and how one is chosen.

    - models: their names
    - name: the router answers to router/NAME
    - strategy: "simple-shuffle" (any, by weight), "least-busy" (with the fewest answers on their way), "latency-based-routing" (the fastest so
      far), "usage-based-routing" (with the fewest tokens in this minute), "cost-based-routing" (the cheapest)
    - weights: by name of the model, how often it is chosen beside the others, where the strategy leaves a choice
    - fallbacks: models that are asked in this order once none of the models can answer
    - max_parallel: how many answers of one model may be on their way; others wait
    - rpm: how many requests may be sent to one model in a minute; others wait
    - cooldown_s: how long a model that failed is not asked; where its provider asks for more (Retry-After), as long as that
    - allowed_fails: how often in a row a model may fail before it cools down; one that limits the rate of calls cools down at once
    """

    models: list[str]
    name: str = "default"
    strategy: Strategy = "simple-shuffle"
    weights: dict[str, float] | None = None
    fallbacks: list[str] = []
    max_parallel: Count | None = None
    rpm: Count | None = None
    cooldown_s: Seconds = 5.0
    allowed_fails: Fails = 2


OpenModel = Callable[[str], Model]
"""The model of that name."""


class ModelRouter:
    """One router and what it knows of its models.  Made by `Routers.add`."""

    def __init__(self, options: RouterOptions) -> None:
        self.options = options
        self.name = f"{ROUTER_PREFIX}{options.name}"
        self.routes = [Route(model) for model in options.models]
        self.fallbacks = [Route(model) for model in options.fallbacks]
        self._freed = asyncio.Event()

    @property
    def all(self) -> list[Route]:
        return [*self.routes, *self.fallbacks]

    def is_free(self, route: Route, now: float) -> bool:
        most = self.options.max_parallel
        return (most is None or route.in_flight < most) and not route.full_for_s(now, self.options.rpm)

    def end(self, route: Route) -> None:
        route.end()
        self._freed.set()
        self._freed = asyncio.Event()

    async def room(self, routes: Sequence[Route], now: float) -> None:
        """Returns once one of them may have room, of answers on their way or of requests in this minute."""
        waits_s = [wait for route in routes if (wait := route.full_for_s(now, self.options.rpm)) > 0]
        try:
            async with asyncio.timeout(min(waits_s, default=None)):
                await self._freed.wait()
        except TimeoutError:
            return  # the minute is over


class Routers:
    """The routers of one session, by name."""

    def __init__(self, open_model: OpenModel, price: Price, clock: Callable[[], float]) -> None:
        self._open_model = open_model
        self._price = price
        self._clock = clock
        self._routers: dict[str, ModelRouter] = {}

    def add(self, options: RouterOptions, check: Callable[[str], None]) -> str:
        """The name it answers to.  One that is added again as it is keeps what it knows.  Raises ArgumentError and what `check` of a model raises."""
        _check_options(options)
        for model in (*options.models, *options.fallbacks):
            check(model)
        known = self._routers.get(options.name)
        if known is None or known.options != options:
            if known is None and len(self._routers) >= MOST_ROUTERS:
                raise ArgumentError(f"a session has at most {MOST_ROUTERS} routers; give one of them new models by its name")
            self._routers[options.name] = known = ModelRouter(options)
        return known.name

    def named(self, name: str) -> ModelRouter:
        """Of `router/NAME`.  Raises BridgeError `unknown_model`."""
        bare = name.removeprefix(ROUTER_PREFIX)
        if bare not in self._routers:
            hint = nearest(name, [router.name for router in self._routers.values()])
            raise BridgeError(
                f"there is no router '{name[:80]}'{hint or '; make one: llm.router{name = ..., models = {...}}'}", code="unknown_model"
            )
        return self._routers[bare]

    def call(self, name: str) -> RoutedCall:
        return RoutedCall(self.named(name), self._open_model, self._price, self._clock)

    def health(self) -> list[dict[str, Any]]:
        """Of every model of every router."""
        now = self._clock()
        return [
            {
                "router": router.name,
                "model": route.model,
                "fallback": route in router.fallbacks,
                "healthy": not route.cools_for_s(now),
                "cools_for_s": round(route.cools_for_s(now), 3),
                "calls": route.calls,
                "failures": route.failures,
                "in_flight": route.in_flight,
                "last_error": route.last_error,
            }
            for router in self._routers.values()
            for route in router.all
        ]


class RoutedCall:
    """One answer of a router, in the making."""

    def __init__(self, router: ModelRouter, open_model: OpenModel, price: Price, clock: Callable[[], float]) -> None:
        self._router = router
        self._open_model = open_model
        self._price = price
        self._clock = clock
        self._models: dict[Route, Model] = {}
        self._tried: set[Route] = set()
        self._rounds = 1

    async def prepare(self) -> None:
        """Raises the first model's error where none can be asked at all, and BridgeError `rate_limit` while all cool down."""
        errors: list[BridgeError] = []
        for route in self._router.all:
            model = self._open_model(route.model)
            try:
                await model.prepare()
                self._models[route] = model
            except BridgeError as error:
                errors.append(error)
        if not self._models:
            raise errors[0]
        if not self._candidates():
            raise self._all_cool()

    def turn(self) -> AbstractAsyncContextManager[None]:
        return AT_ONCE

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        route = await self._chosen(request)
        options = self._router.options
        self._tried.add(route)
        route.begin(began := self._clock(), options.rpm)
        tokens = 0
        is_first = True
        try:
            yield Delta(model=route.model)
            async with aclosing(self._models[route].stream(msgspec.structs.replace(request, model=route.model))) as deltas:
                async for delta in deltas:
                    if is_first and (delta.text or delta.tool_calls):
                        is_first = False
                        route.answered_after(self._clock() - began)
                    if delta.usage is not None:
                        tokens = delta.usage.input_tokens + delta.usage.output_tokens
                    yield delta
            route.succeeded()
        except BridgeError as error:
            route.failed(error, self._clock(), options.allowed_fails, options.cooldown_s)
            raise
        finally:
            route.used(tokens, self._clock())
            self._router.end(route)

    def next_attempt(self, error: BridgeError, failed: int, retries: int, left_s: float, chance: float) -> Retry | None:
        """Another model at once, where one is left; else all of them again, as for any model, and not before the first is back."""
        if error.code not in MOVES_ON:
            return None
        if left := self._candidates():
            return Retry(failed + 1, failed + len(left), 0.0, error) if left_s > 0 else None
        error.retry_after_s = self._first_back_s()
        retry = next_attempt(error, self._rounds, retries, left_s, chance)
        if retry is None:
            return None
        self._rounds += 1
        self._tried.clear()
        return retry._replace(attempt=failed + 1, attempts=failed + len(self._models))

    def _candidates(self) -> list[Route]:
        """Who may be asked next: of the models, else of the fallbacks."""
        now = self._clock()
        for routes in (self._router.routes, self._router.fallbacks):
            left = [route for route in routes if route in self._models and route not in self._tried and not route.cools_for_s(now)]
            if left:
                return left
        return []

    async def _chosen(self, request: Request) -> Route:
        while candidates := self._candidates():
            now = self._clock()
            free = [route for route in candidates if self._router.is_free(route, now)]
            if not free:
                await self._router.room(candidates, now)
            elif candidates[0] in self._router.fallbacks:
                return free[0]
            else:
                options = self._router.options
                chance = random.random()  # noqa: S311  spreads calls, guards nothing
                return next_route(options.strategy, options.weights or {}, free, now, self._price, chance)
        raise self._all_cool()

    def _first_back_s(self) -> float:
        now = self._clock()
        return min(route.cools_for_s(now) for route in self._models)

    def _all_cool(self) -> BridgeError:
        wait_s = self._first_back_s()
        told = "; ".join(f"{route.model}: {route.last_error}" for route in self._models if route.last_error)
        error = BridgeError(
            f"every model of {self._router.name} cools down after failures ({told[:300]}); the first is asked again in {wait_s:.0f} s, "
            "and llm.routes() tells of each",
            code="rate_limit",
            retryable=True,
        )
        error.retry_after_s = wait_s
        return error


def _check_options(options: RouterOptions) -> None:
    models = [*options.models, *options.fallbacks]
    if not options.models:
        raise ArgumentError("a router needs models: llm.router{models = {'openai/gpt-4o-mini', ...}}")
    if not _NAME.fullmatch(options.name):
        raise ArgumentError(f"the name of a router is up to 64 letters, digits, '_', '.' and '-', not {options.name[:64]!r}")
    if len(models) > MOST_MODELS:
        raise ArgumentError(f"a router has at most {MOST_MODELS} models and fallbacks, not {len(models)}")
    if nested := [model for model in models if model.startswith(ROUTER_PREFIX)]:
        raise ArgumentError(f"the models of a router are no routers; put the models of '{nested[0][:80]}' in its place")
    if twice := [model for model in models if models.count(model) > 1]:
        raise ArgumentError(f"a router has '{twice[0][:80]}' twice; give it a weight instead")
    for model, weight in (options.weights or {}).items():
        if model not in options.models:
            raise ArgumentError(f"weights name '{model[:80]}', which is none of the models{nearest(model, options.models)}")
        if not 0 < weight <= 1_000_000:
            raise ArgumentError(f"the weight of {model[:80]} must be above 0 and at most 1000000, not {weight:g}")
