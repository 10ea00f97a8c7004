"""Much work for models at once: bounded, shown while it goes on, and kept where it is stopped.  A part of the bridge `llm`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from llmspell_kernel.shown import Progress

if TYPE_CHECKING:
    from llmspell_kernel.services.llm.batches import Tally

    from ._bridge import Context, StateLife

SHOWN_EVERY_S = 0.1
"""A bar that moves more often is only drawn, and not read."""


async def each(count: int, at_once: int, work: Callable[[int], Awaitable[None]]) -> None:
    """Does work number 1 to `count`, `at_once` at a time.

    Where one raises, no more are begun, those under way come to their end, since they are paid for, and then it is raised.
    """
    numbers = iter(range(1, count + 1))
    failures: list[Exception] = []

    async def take() -> None:
        for number in numbers:
            if failures:
                return
            try:
                await work(number)
            except Exception as error:
                failures.append(error)

    await asyncio.gather(*(take() for _ in range(min(at_once, count))))
    if failures:
        raise failures[0]


class Bar:
    """The line that shows how far it has come.  Its last state holds nothing that another run would not say: it is saved with the notebook."""

    def __init__(self, ctx: Context, label: str, tally: Tally) -> None:
        self._ctx = ctx
        self._label = label
        self._tally = tally
        self._shown_s = time.monotonic()
        self._show("", ended=False)

    def move(self) -> None:
        now_s = time.monotonic()
        if now_s - self._shown_s >= SHOWN_EVERY_S:
            self._shown_s = now_s
            self._show(self._tally.passing(now_s), ended=False)

    def end(self) -> None:
        self._show(self._tally.lasting(), ended=True)

    def _show(self, text: str, *, ended: bool) -> None:
        tally = self._tally
        self._ctx.show(Progress(self._ctx.call_id, tally.done, tally.total, self._label, text, ended))


class KeptWork:
    """What the last batch or comparison of each state came to, also where it was stopped; as long as the state lives."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[StateLife, list[dict[str, Any]]] = WeakKeyDictionary()

    def keep(self, ctx: Context, entries: list[dict[str, Any]]) -> None:
        """While a state is restored, what it did last is newer than the cells that run again."""
        if not (ctx.restoring and ctx.life in self._kept):
            self._kept[ctx.life] = entries

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, ctx: Context) -> list[dict[str, Any]] | None:
        return self._kept.get(ctx.life)


def usage_of(answer: Mapping[str, Any]) -> tuple[int, int]:
    """Input and output tokens of what `llm.generate` gave."""
    used = answer.get("usage") or {}
    return int(used.get("input_tokens") or 0), int(used.get("output_tokens") or 0)
