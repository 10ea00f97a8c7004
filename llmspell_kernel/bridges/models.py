"""The bridge `models`: which models there are, what they cost and support, and how they have done in this project."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from llmspell_kernel import Bridge, BridgeSession, Context, method
from llmspell_kernel.errors import ArgumentError, BridgeError

if TYPE_CHECKING:
    from llmspell_kernel.services.llm.discovery import Asked
    from llmspell_kernel.services.llm.listing import Listed, Listing

Rows = list[dict[str, Any]]
Limit = Annotated[int, msgspec.Meta(ge=1, le=5_000)]
Money = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]
Wait = Annotated[float, msgspec.Meta(gt=0, le=300)]
LARGEST_LIST_BYTES = 4_000_000
"""Of what a server says: ten times what the longest real lists take."""
_PROVIDER = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class ListOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of the listed models.

    - provider: those of one provider
    - supports: what they must support: tools, parallel_tools, tool_choice, vision, json, reasoning, caching, system, pdf, audio, audio_output, video,
      web_search, computer_use, prefill
    - max_price: US dollars for a million tokens, which neither the price in nor the price out is above; models of unknown price are left out
    - limit: how many at the most
    """

    provider: str = ""
    supports: list[str] | str = []
    max_price: Money | None = None
    limit: Limit = 100


class FindOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is wanted for.

    - task: chat, write, summarize, translate, classify, extract, agent, code, reason, see, read_pdf, listen, search
    - needs: what it must support, beside what the task needs; as in `models.list`
    - budget: US dollars that a call may cost; models of unknown price are left out
    - prefer: which come first: the cheapest, those that answer fast here, the good ones (by their providers' prices and reasoning: no list says
      how good a model is), those that read the longest texts
    - provider: of one provider alone
    - with_key: those whose provider's key is set, or that need none
    - input_tokens: of a call, for its cost, and for what the model must be able to read
    - output_tokens: of its answer
    - limit: how many at the most
    """

    task: str = "chat"
    needs: list[str] | str = []
    budget: Money | None = None
    prefer: Literal["cheap", "fast", "good", "long"] = "cheap"
    provider: str = ""
    with_key: bool = False
    input_tokens: Tokens = 1_000
    output_tokens: Tokens = 500
    limit: Limit = 5


class DiscoverOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to ask a server.

    - timeout_s: seconds for each request
    - auth: the name of a secret, sent as `Authorization: Bearer ...` to the hosts it is bound to
    """

    timeout_s: Wait = 10.0
    auth: str | None = None


class PerformanceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls count.

    - name: a model such as "openai/gpt-4o-mini"; all where none is named
    - since: from when on: a day ("2026-11-01"), a time ("2026-11-01T12:00:00Z"), or Unix seconds
    """

    name: str = ""
    since: str | float = 0


class Models(Bridge):
    """Which models there are, what they cost and support, and how they have done by the journals that sessions of this project keep."""

    name = "models"

    def __init__(self, listing: Listing | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._session: BridgeSession | None = None
        self._given = listing
        self._environ = environ

    async def open(self, session: BridgeSession) -> None:
        self._session = session

    @method
    async def performance(self, ctx: Context, options: PerformanceOptions | None = None) -> dict[str, Any]:
        """What calls of models came to, in the cells that have ended, of this session and of those before it.

        - options: `{name, since}`: one model, and from when on

        `{calls, failures, latency_p50_s, latency_p95_s, first_token_p50_s, first_token_p95_s, tokens_per_s, input_tokens, output_tokens,
        cached_tokens, cost_usd, unpriced, replayed, days, models, journals, left_out}`.  `failures` counts by error code, "cancelled" being
        those that nobody waited for; `cost_usd` adds up the known prices, and `unpriced` calls have none; `replayed` were answered from a
        cassette, and are in no other figure; `days` and `models` are lists with the same figures for each `day` and `model`; `journals` were
        read, `left_out` could not be.
        """
        assert self._session is not None  # it opens a bridge before its first call
        chosen = options or PerformanceOptions()
        return await self._session.performance(chosen.name, _seconds(chosen.since))

    @method
    async def list(self, ctx: Context, options: ListOptions | None = None) -> Rows:
        """The models that are listed, by name; providers may answer to newer ones too.

        - options: `{provider, supports, max_price, limit}`

        A list of `{name, provider, mode, context_window, max_output, price, input_usd, output_usd, cached_input_usd, supports, deprecated}`.
        Prices are in US dollars for a million tokens, and `price` says whether they are "known", "free" or "unknown"; unknown ones are left out, as
        all that is not known.  `deprecated` is the day on which the provider takes the model away, or took it.  Nothing is sent.

        Raises BridgeError with the code unknown_provider, and ArgumentError for what no model is known to support, naming the nearest names.
        """
        return [model.shown() for model in await self._chosen(options)]

    @method
    async def info(self, ctx: Context, name: str) -> dict[str, Any]:
        """What is known of one model, as in `models.list`; its name may be without the provider.

        Raises BridgeError with the code unknown_model, naming the nearest names.
        """
        return (await asyncio.to_thread(self._listing().named, name)).shown()

    @method
    async def find(self, ctx: Context, options: FindOptions | None = None) -> Rows:
        """The listed models that fit a purpose, the best first, with the reason for each.

        - options: `{task, needs, budget, prefer, provider, with_key, input_tokens, output_tokens, limit}`

        A list of `{name, provider, price, cost_usd, context_window, reason, calls, failure_rate, latency_p50_s}`; `cost_usd` is for a call of so many
        tokens, nothing where the price is not known.  The last three are what the model has done in this project, nothing where it was not called.
        One that failed in more than a fifth of at least 5 calls comes after the others, and one that its provider has taken away not at all.

        Raises ArgumentError for an unknown task or need, naming the nearest names.
        """
        from llmspell_kernel.services.llm import choices

        chosen = options or FindOptions()
        wish = choices.Wish(
            chosen.task,
            tuple(_several(chosen.needs)),
            chosen.budget,
            chosen.prefer,
            chosen.limit,
            chosen.input_tokens,
            chosen.output_tokens,
        )
        models = await asyncio.to_thread(self._listing().chosen, chosen.provider)
        if chosen.with_key:
            models = [model for model in models if self._has_key(model.provider)]
        assert self._session is not None
        seen = choices.measured_of(await self._session.performance("", 0))
        return choices.choices(models, wish, seen, datetime.now(UTC).date().isoformat())

    @method(replay="again")
    async def discover(self, ctx: Context, server: str, options: DiscoverOptions | None = None) -> dict[str, Any]:
        """The models that a server has now: an Ollama server, or one that speaks OpenAI's API.  It is asked by `http.get`, under the network policy.

        - server: a provider's name, such as "ollama" (at OLLAMA_API_BASE, else on this machine), or an address, such as "http://127.0.0.1:8000/v1"
        - options: `{timeout_s, auth}`

        `{address, kind, models, left_out}`: `kind` is "ollama" or "openai"; `models` are `{name, id, size_bytes, family, parameters, quantization,
        owner}`, as far as the server tells them, `name` being what `llm.set_model` takes; `left_out` is how many had no name that could be used.

        Raises DeniedError for a host that the policy does not allow, LimitError for an answer that is too large, and BridgeError with the codes
        unknown_provider, unreachable, timeout, http_status, bad_answer and others of `http.get`.
        """
        from llmspell_kernel.services.llm.discovery import models_in, to_ask

        provider, address, hint = await _address(ctx, server)
        chosen = options or DiscoverOptions()
        asked = to_ask(address, provider)
        for one in asked:
            answer = await _ask(ctx, one, chosen, hint)
            if answer["ok"]:
                try:
                    models, left_out = models_in(answer["text"], one)
                except BridgeError:
                    if one is asked[-1]:
                        raise
                    continue
                return {"address": one.url, "kind": one.kind, "models": models, "left_out": left_out}
        raise _no_list(asked[-1], answer["status"])

    @method
    async def export(self, ctx: Context, form: Literal["json", "markdown", "openapi"] = "json", options: ListOptions | None = None) -> str:
        """The listed models as a text: "json", a table in "markdown", or an "openapi" document of a server that has them.

        - options: `{provider, supports, max_price, limit}`, as for `models.list`
        """
        from llmspell_kernel.services.llm.listing_forms import FORMS

        return FORMS[form](await self._chosen(options))

    async def _chosen(self, options: ListOptions | None) -> Sequence[Listed]:
        chosen = options or ListOptions()
        found = await asyncio.to_thread(self._listing().chosen, chosen.provider, _several(chosen.supports), chosen.max_price)
        return found[: chosen.limit]

    def _listing(self) -> Listing:
        if self._given is None:
            from llmspell_kernel.services.llm.catalogue import installed_prices
            from llmspell_kernel.services.llm.listing import Listing

            self._given = Listing(installed_prices)
        return self._given

    def _has_key(self, provider: str) -> bool:
        """Of providers that we keep no table of, it is not known."""
        from llmspell_kernel.services.llm.providers import missing_keys, provider_named

        return provider_named(provider) is not None and not missing_keys(provider, self._environ)


def _several(given: list[str] | str) -> list[str]:
    return [given] if isinstance(given, str) else given


async def _address(ctx: Context, server: str) -> tuple[str, str, str]:
    """Provider ("" for an address), address, and what to do where nothing answers there."""
    if not _PROVIDER.fullmatch(server) or server == "localhost":
        return "", server, "check the address, and that the server runs"
    known = await ctx.call("llm", "address_of", server)
    name, address, variable = known["name"], known["address"], known["variable"]
    if not address:
        raise BridgeError(
            f"it is not known where {name} lists its models; give an address instead, such as models.discover('https://host/v1')",
            code="unknown_provider",
        )
    start = "start it (ollama serve), or " if name.startswith("ollama") else ""
    return name, address, f"{start}set {variable} to where it is" if variable else "check that it runs"


async def _ask(ctx: Context, one: Asked, options: DiscoverOptions, hint: str) -> dict[str, Any]:
    """The answer of `http.get`; no redirect is followed, as a list of models needs none."""
    asking = {"timeout_s": options.timeout_s, "max_bytes": LARGEST_LIST_BYTES, "redirects": 0}
    try:
        answer: dict[str, Any] = await ctx.call("http", "get", one.url, {**asking, **({"auth": options.auth} if options.auth else {})})
    except BridgeError as error:
        if error.code != "unreachable":
            raise
        raise BridgeError(f"no server answers at {one.url}: {hint}", code="unreachable", retryable=True) from error
    return answer


def _no_list(one: Asked, status: int) -> BridgeError:
    told = "it leads elsewhere: ask there" if 300 <= status < 400 else "check the address, and whether it wants a key (auth)"
    return BridgeError(f"{one.url} answered with the status {status}, and no list of models; {told}", code="http_status")


def _seconds(since: str | float) -> float:
    """Unix seconds; a time without a zone is in UTC, as days of the figures are."""
    if not isinstance(since, str):
        return float(since)
    try:
        read = datetime.fromisoformat(since)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ArgumentError(f"since must be a day such as '2026-11-01', or Unix seconds, not '{since[:60]}'") from None
