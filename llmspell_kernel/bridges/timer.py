"""Bridge `timer`: waiting without keeping the script's engine busy, and the time of day."""

from __future__ import annotations

import asyncio
from typing import Annotated

from msgspec import Meta

from llmspell_kernel import Bridge, Context, method

Seconds = Annotated[float, Meta(ge=0, le=86_400, description="how long, at most a day")]


class Timer(Bridge):
    """Waits, and tells the time."""

    name = "timer"

    @method
    async def sleep(self, ctx: Context, seconds: Seconds) -> None:
        """Waits that many seconds; other calls of the script go on, and the stop button ends the wait."""
        ctx.passes(seconds)
        await asyncio.sleep(seconds)

    @method
    async def now(self, ctx: Context) -> float:
        """The time of day, in seconds since 1970; a replay is told the time of its recording."""
        return ctx.now()
