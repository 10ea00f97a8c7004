"""Texts as vectors: by any model that litellm knows, or by their words alone (`spell/embed`)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from llmspell_kernel.errors import ArgumentError, BridgeError, LimitError

from .catalogue import Catalogue
from .embed_options import MAX_DIMENSIONS, MAX_NUMBERS, EmbedOptions
from .estimate import BYTES_A_TOKEN
from .litellm_errors import Failure, bridge_error, missing_key
from .litellm_library import LitellmLibrary
from .price_list import PriceList
from .providers import SPELL_PROVIDER, missing_keys
from .word_vectors import DIMENSIONS, NAME, vector_of, word_count

MAX_TEXTS = 256
"""Of one call."""
MAX_CHARS = 2_000_000
CLIENT_EXTRA_S = 5.0
"""As for answers: the timeout that a user sees is always ours."""
DEFAULTS = {
    SPELL_PROVIDER: NAME,
    "openai": "openai/text-embedding-3-small",
    "gemini": "gemini/gemini-embedding-001",
    "mistral": "mistral/mistral-embed",
    "cohere": "cohere/embed-v4.0",
}
"""By the provider of the session's model, for those that have one model which suits most."""


_turn = ThreadPoolExecutor(1, "vectors")
"""Of the vectors that are made of words at once, the host makes one call's at a time: six would share the interpreter with the event loop."""


class Embedded(NamedTuple):
    """`input_tokens` None = the provider does not say."""

    vectors: list[list[float]]
    input_tokens: int | None


class Embedding(NamedTuple):
    """One question, checked; `texts` are not empty.  `cost_usd` is the most that it may cost, None where that is not known."""

    model: str
    texts: Sequence[str]
    options: EmbedOptions
    input_tokens: int
    cost_usd: float | None


class Embedder:
    """Keys and addresses come from the environment as it is at each call."""

    def __init__(self, library: LitellmLibrary, catalogue: Callable[[], Catalogue], prices: PriceList, environ: Mapping[str, str]) -> None:
        self._library = library
        self._catalogue = catalogue
        self._prices = prices
        self._environ = environ

    def embedding(self, texts: Sequence[str], options: EmbedOptions, provider: str) -> Embedding:
        """Raises ArgumentError (`no_embedding_model` where none is named and none is usual), LimitError and BridgeError `unknown_model`.

        Nothing is sent.  `provider` is the one in use.
        """
        name = options.model or DEFAULTS.get(provider)
        if name is None:
            told = f"name the model that makes the vectors, such as {{model = '{NAME}'}}: {provider} has none that suits all"
            raise ArgumentError(told, code="no_embedding_model")
        if name.startswith(f"{SPELL_PROVIDER}/") and name != NAME:
            raise BridgeError(f"{name} makes no vectors; {NAME} does, from the words of a text", code="unknown_model")
        _check(texts)
        if (size := self._size(name, options)) is not None:
            _check_numbers(len(texts), size)
        if name == NAME:
            return Embedding(name, texts, options, sum(map(word_count, texts)), 0.0)
        self._prices.embedding_provider(name, self._catalogue())
        most_tokens = sum(len(text.encode("utf-8", "replace")) for text in texts)
        cost = self._prices.cost(name, most_tokens, 0)
        return Embedding(name, texts, options, most_tokens, cost.input_usd if cost.known else None)

    def _size(self, name: str, options: EmbedOptions) -> int | None:
        """How many numbers a vector will have, None where nobody knows before it comes."""
        if options.dimensions is not None or name == NAME:
            return options.dimensions or DIMENSIONS
        listed = (self._prices.entry(name) or {}).get("output_vector_size")
        return listed if isinstance(listed, int) and listed > 0 else None

    async def embedded(self, asked: Embedding) -> Embedded:
        """Raises BridgeError of the codes that answers have, and LimitError where a provider gives more numbers than one call may."""
        if asked.model == NAME:
            size = asked.options.dimensions or DIMENSIONS
            going = asyncio.get_running_loop()
            vectors = await going.run_in_executor(_turn, lambda: [vector_of(text, size) for text in asked.texts])
            return Embedded(vectors, asked.input_tokens)
        litellm = await self._prepared(asked.model)
        try:
            answer = await litellm.aembedding(
                model=asked.model,
                input=list(asked.texts),
                timeout=asked.options.timeout_s + CLIENT_EXTRA_S,
                max_retries=0,
                num_retries=0,
                **({} if asked.options.dimensions is None else {"dimensions": asked.options.dimensions}),
            )
        except Exception as error:
            raise bridge_error(error, Failure(asked.model, self._catalogue(), self._environ, False)) from error
        return Embedded(await asyncio.to_thread(_vectors, answer, asked), _tokens(answer))

    async def _prepared(self, name: str) -> Any:
        provider = self._prices.embedding_provider(name, self._catalogue())
        if missing := missing_keys(provider, self._environ):
            raise missing_key(name, missing)
        return await self._library.module()

    def used(self, asked: Embedding, came: Embedded) -> tuple[int, float | None]:
        """Tokens, guessed where the provider does not tell them, and US dollars, None where the price is not known."""
        tokens = _guessed_tokens(asked.texts) if came.input_tokens is None else came.input_tokens
        cost = self._prices.cost(asked.model, tokens, 0)
        return tokens, cost.input_usd if cost.known else None


def _guessed_tokens(texts: Sequence[str]) -> int:
    return sum(-(-len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN) for text in texts)


def _check(texts: Sequence[str]) -> None:
    if not texts or any(not text.strip() for text in texts):
        raise ArgumentError("llm.embed needs a text that is not empty, or a list of such texts")
    if len(texts) > MAX_TEXTS:
        raise LimitError(
            f"{len(texts):,} texts are more than the {MAX_TEXTS} that one call embeds; embed them in portions",
            limit="embed_texts",
            value=MAX_TEXTS,
            used=len(texts),
        )
    if (chars := sum(map(len, texts))) > MAX_CHARS:
        raise LimitError(
            f"{chars:,} characters are more than the {MAX_CHARS:,} that one call embeds", limit="embed_chars", value=MAX_CHARS, used=chars
        )


def _check_numbers(texts: int, size: int) -> None:
    if texts * size > MAX_NUMBERS:
        raise LimitError(
            f"{texts:,} vectors of {size:,} numbers are {texts * size:,} numbers, {MAX_NUMBERS:,} is the most of one call; embed"
            f" {MAX_NUMBERS // size:,} texts at once, or ask for fewer dimensions where the model can choose",
            limit="embed_numbers",
            value=MAX_NUMBERS,
            used=texts * size,
        )


def _vectors(answer: Any, asked: Embedding) -> list[list[float]]:
    """In the order of the texts.  A provider may say anything: what is no vector of numbers for each text is an error of its own."""
    wrong = BridgeError(f"{asked.model} did not answer with one vector for each text", code="bad_response", retryable=True)
    found: dict[int, list[float]] = {}
    try:
        for entry in answer.data:
            index = entry["index"]
            numbers = entry["embedding"]
            if not isinstance(numbers, list) or not 0 < len(numbers) <= MAX_DIMENSIONS:
                raise wrong
            _check_numbers(len(asked.texts), len(numbers))
            found[index] = [float(number) for number in numbers]
    except (TypeError, KeyError, ValueError, AttributeError):
        raise wrong from None
    if sorted(found) != list(range(len(asked.texts))) or not all(map(math.isfinite, (n for numbers in found.values() for n in numbers))):
        raise wrong
    return [found[index] for index in range(len(asked.texts))]


def _tokens(answer: Any) -> int | None:
    tokens = getattr(getattr(answer, "usage", None), "prompt_tokens", None)
    return tokens if isinstance(tokens, int) and tokens > 0 else None
