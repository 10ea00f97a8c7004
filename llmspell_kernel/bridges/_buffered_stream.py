"""A stream of an answer that is there already."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.services.llm.models import words_of
from llmspell_kernel.values import Callback

from ._bridge import Context, Resource, method


class BufferedStream(Resource):
    """`llm.stream` of an answer that guardrails have looked at: all of its text is there."""

    type = "llm.stream"
    iterate = "next"
    lasting = ("text", "usage")

    def __init__(self, answer: dict[str, Any]) -> None:
        self._pieces: list[str] | None = None
        self.take(answer)

    def take(self, answer: dict[str, Any]) -> None:
        """An answer of `llm.generate` that nobody has read yet: the first, or the one that came when the model was asked again."""
        self.content = str(answer["text"])
        self._answer = answer

    @method
    async def next(self, ctx: Context) -> str | None:
        """The next piece of text, or nothing at the end."""
        if self._pieces is None:
            self._pieces = words_of(self.content)[::-1]
        return self._pieces.pop() if self._pieces else None

    @method
    async def text(self, ctx: Context) -> str:
        """The whole text."""
        self._pieces = []
        return self.content

    @method
    async def map(self, ctx: Context, fn: Callback) -> list[Any]:
        """What a function makes of each piece of text that is still to come."""
        made = []
        try:
            while (piece := await self.next(ctx)) is not None:
                made.append(await ctx.invoke(fn, piece))
        except BaseException:
            self._pieces = []
            raise
        return made

    @method
    async def usage(self, ctx: Context) -> dict[str, Any]:
        """What the answer used; that is complete, so nothing of it is `estimated`."""
        answer = self._answer
        return {"model": answer["model"], "finish_reason": answer["finish_reason"], **answer["usage"], "cost_usd": answer["cost_usd"]}

    @method
    async def close(self, ctx: Context) -> None:
        """Nothing more is given; `text` has the whole."""
        self._pieces = []
