"""What `llm` says of providers, and its routers; a part of the class Llm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llmspell_kernel.services.llm.models import Request
from llmspell_kernel.services.llm.routing import RouterOptions

from ._bridge import Context, method

if TYPE_CHECKING:
    from llmspell_kernel.services.llm.service import LlmService


class LlmRoutes:
    """Methods of Llm."""

    _service: LlmService

    @method
    async def providers(self, ctx: Context) -> list[dict[str, Any]]:
        """Providers, and for which of them a key is there; never the key.

        A list of `{name, key, where, models, local, address}`: `key` is true where one is set or none is needed, `where` is the name of the
        environment variable that holds it or would, "" where none is needed; `models` is how many are listed; `local` ones run on a machine of
        yours; `address` is the variable that moves the provider elsewhere, "" where there is none.  `llm.list_providers` names more of them, whose
        variables are in litellm's documentation.  Nothing is sent.
        """
        return self._service.providers()

    @method(replay="again")
    async def router(self, ctx: Context, options: RouterOptions) -> str:
        """Make a name that several models answer to; the name, "router/NAME", which is used like a model's.

        Each call asks one of them, by the strategy.  Where that fails before anything of the answer has come, another is asked at once, and
        told; what answered is the `model` of the answer and of the trace.  A model that goes on failing cools down.  Budgets reserve what the
        dearest of the models may cost, and each model must be allowed.  A router of the same name is replaced.
        - options: `{models, name, strategy, weights, fallbacks, max_parallel, rpm, cooldown_s, allowed_fails}`

        Raises ArgumentError, and BridgeError with the code unknown_model, naming the nearest names.  Nothing is sent.
        """
        return self._service.add_router(options)

    @method
    async def routes(self, ctx: Context) -> list[dict[str, Any]]:
        """How the models of the routers are, in this session.

        A list of `{router, model, fallback, healthy, cools_for_s, calls, failures, in_flight, last_error}`: `cools_for_s` are the seconds until a
        model that cools down is asked again, 0 for a healthy one; `last_error` is the code of its last failure, "" after a success.
        """
        return self._service.routers.health()

    @method(inner=True, replay="call")
    async def check_agent(self, ctx: Context, model: str, with_tools: bool) -> None:
        """Can an agent be made for a model?  Asks no provider."""
        self._service.check_agent(model, with_tools)

    @method(inner=True)
    async def address_of(self, ctx: Context, provider: str) -> dict[str, Any]:
        """Where a provider lists its models: `{name, address, variable}`, the address being "" where that is not known."""
        return self._service.address_of(provider)


async def check_each(ctx: Context, service: LlmService, request: Request) -> str:
    """Has each model of a router allowed, and its price; the name to reserve for.  Raises LimitError and DeniedError."""
    models = service.models_behind(request.model)
    if models != [request.model]:
        for model in models:
            most = service.worst_case(msgspec.structs.replace(request, model=model))
            tokens = {"input_tokens": most.input_tokens, "output_tokens": most.output_tokens}
            (await ctx.reserve(model=model, requests=0, cost_usd=most.cost_usd, **tokens)).release()
    return models[0]
