"""`spell/echo`: says what it was told, word by word, always the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager

from .models import AT_ONCE, Delta, Request, Usage, count_words, last_user_text, words_of


class Echo:
    """Answers `echo: <last user text>`.  Takes every option and heeds only `max_tokens`, counted in words."""

    async def prepare(self) -> None:
        """Nothing to load."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        return AT_ONCE

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        words = words_of(f"echo: {last_user_text(request.messages)}")
        kept = words[: request.options.max_tokens]
        asked = count_words(request.messages)
        for said, word in enumerate(kept, 1):
            # Gives the loop a turn, so that even the echo can be stopped in mid-answer.
            await asyncio.sleep(0)
            yield Delta(text=word, usage=Usage(asked, said, 0, 0.0))
        yield Delta(finish_reason="stop" if len(kept) == len(words) else "length")
