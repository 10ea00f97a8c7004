"""`llm.embed`, `llm.count_tokens`, `llm.cost`: what texts are to models.  A part of the bridge `llm`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from llmspell_kernel.errors import BridgeError
from llmspell_kernel.services.llm.embed_options import EmbedOptions

from ._bridge import Context, Reservation, method

if TYPE_CHECKING:
    from llmspell_kernel.services.llm.embeddings import Embedded, Embedder, Embedding
    from llmspell_kernel.services.llm.service import LlmService

Tokens = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class Measures:
    """Methods of `llm` that measure."""

    _service: LlmService

    @method
    async def embed(self, ctx: Context, texts: str | list[str], options: EmbedOptions | None = None) -> list[Any]:
        """Texts as vectors, for finding what is alike: a list of numbers for a text, a list of such lists for a list of texts.

        - texts: at most 256, of 2,000,000 characters in all, whose vectors have 500,000 numbers in all

        `spell/embed` needs no key and is always the same; it knows only which words a text has.  It is taken where the model in use is one of
        `spell/`.  Raises ArgumentError where the provider in use has no model that suits all, LimitError where it is
        too much for one call, and BridgeError as `chat` does.
        """
        options = options or EmbedOptions()
        embedder = self._service.embedder
        asked = embedder.embedding([texts] if isinstance(texts, str) else texts, options, self._service.provider)
        reservation = await ctx.reserve(
            model=asked.model, input_tokens=asked.input_tokens, cost_usd=asked.cost_usd, seconds=options.timeout_s
        )
        vectors = (await _embedded(ctx, embedder, asked, reservation)).vectors
        return vectors[0] if isinstance(texts, str) else vectors

    @method
    async def count_tokens(self, ctx: Context, prompt: str | list[dict[str, Any]], model: str | None = None) -> dict[str, Any]:
        """How many tokens a prompt has: `{tokens, estimated, by, model}`.

        `by` is what counted them: a tokenizer's name, "words" for `spell/echo` and `spell/scripted`, whose tokens are words, or "bytes".
        `estimated` is true where the model itself may count otherwise.  Nothing is sent, and no tokenizer is fetched.
        - prompt: a text, or messages as `chat` takes them
        - model: else the one in use

        Raises BridgeError unknown_model.
        """
        name = model or self._service.model
        self._service.check(name)
        count = await self._service.token_count(prompt, name)
        return {**count._asdict(), "model": name}

    @method
    async def cost(self, ctx: Context, model: str, input_tokens: Tokens, output_tokens: Tokens = 0) -> dict[str, Any]:
        """What so many tokens cost by the list of prices: `{input_usd, output_usd, total_usd, known}`, in US dollars.

        - model: a name, such as openai/gpt-4o-mini, also of one that makes vectors
        - input_tokens: of the prompt; prompts beyond a model's bound cost more
        - output_tokens: of the answer

        `known` is false, and the numbers are 0, for a model whose price is not listed.  Nothing is sent.
        """
        cost = self._service.prices.cost(model, input_tokens, output_tokens)
        total_usd = round(cost.input_usd + cost.output_usd, 12)
        return {**cost._asdict(), "total_usd": total_usd}


async def _embedded(ctx: Context, embedder: Embedder, asked: Embedding, reservation: Reservation) -> Embedded:
    """Made within its time, and its use told however it ends."""
    from llmspell_kernel.services.llm.generation import REFUSED

    limit_s = min(asked.options.timeout_s, reservation.seconds)
    loop = asyncio.get_running_loop()
    began_s, tokens, cost_usd = loop.time(), asked.input_tokens, None
    attempts = 1
    try:
        timeout = asyncio.timeout(limit_s)
        try:
            async with timeout:
                came = await embedder.embedded(asked)
        except TimeoutError:
            if not timeout.expired():
                raise
            if limit_s < asked.options.timeout_s:
                raise reservation.out_of_time() from None
            raise BridgeError(
                f"{asked.model} did not answer within {limit_s:g} s; raise timeout_s", code="timeout", retryable=True
            ) from None
        tokens, cost_usd = embedder.used(asked, came)
    except BridgeError as error:
        if error.code in REFUSED:
            tokens, cost_usd, attempts = 0, 0.0, int(error.code != "missing_key")
        raise
    finally:
        ctx.usage(
            model=asked.model,
            input_tokens=tokens,
            cost_usd=cost_usd,
            attempts=attempts,
            finish_reason="",
            seconds=loop.time() - began_s,
        )
    return came
