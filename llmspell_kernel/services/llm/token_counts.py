"""How many tokens a text or messages have, told with whether that is counted or guessed.  Nothing is fetched: only the tokenizers that came with
litellm are used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from llmspell_kernel.errors import LimitError

from .catalogue import Catalogue
from .estimate import MESSAGE_TOKENS, tokens_of
from .litellm_library import LitellmLibrary
from .messages import messages_of
from .models import count_words
from .providers import ECHO, LOCAL, SCRIPTED

MAX_CHARS = 4_000_000
SHIPPED = ("cl100k_base", "o200k_base")
"""Encodings that lie in litellm's folder; the library behind would fetch any other."""


class Count(NamedTuple):
    """`by` is what counted: "words", "bytes", or the tokenizer's name.  `estimated`: the model itself may count otherwise."""

    tokens: int
    estimated: bool
    by: str


async def counted(prompt: str | Sequence[Any], name: str, library: LitellmLibrary, catalogue: Callable[[], Catalogue]) -> Count:
    """Raises ArgumentError for wrong messages, LimitError for too long ones."""
    messages = messages_of(prompt, None)
    if (chars := sum(_chars(message.get("content")) for message in messages)) > MAX_CHARS:
        raise LimitError(
            f"{chars:,} characters are more than the {MAX_CHARS:,} that are counted", limit="count_chars", value=MAX_CHARS, used=chars
        )
    if name in (ECHO, SCRIPTED):
        return Count(count_words(messages), False, "words")
    if name == LOCAL:
        return Count(sum(MESSAGE_TOKENS + tokens_of(message.get("content")) for message in messages), True, "bytes")
    provider = catalogue().provider_of(name)
    litellm = await library.module()
    return await asyncio.to_thread(_by_litellm, litellm, messages if not isinstance(prompt, str) else prompt, name, provider)


def _by_litellm(litellm: Any, prompt: str | list[dict[str, Any]], name: str, provider: str) -> Count:
    bare = name.removeprefix(f"{provider}/")
    encoding = _encoding(bare) if provider in ("openai", "azure") else ""
    litellm.disable_hf_tokenizer_download = True  # else the tokenizers of some models are fetched when their tokens are counted
    what = {"text": prompt} if isinstance(prompt, str) else {"messages": prompt, "use_default_image_token_count": True}
    # without a name of a model that it has the encoding of, it takes the one that most models are near
    tokens = litellm.token_counter(model=bare if encoding in SHIPPED else "", **what)
    return Count(int(tokens), encoding not in SHIPPED, encoding if encoding in SHIPPED else SHIPPED[0])


def _encoding(name: str) -> str:
    import tiktoken

    try:
        return str(tiktoken.encoding_name_for_model(name))
    except KeyError:
        return ""


def _chars(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    return sum(len(str(part.get("text", ""))) for part in content or ())
