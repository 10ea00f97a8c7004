"""`llm.batch`: many prompts, some at once.  A part of the bridge `llm`."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from llmspell_kernel.errors import LimitError, ScriptError, SpellError
from llmspell_kernel.services.llm.batches import (
    MAX_PROMPTS,
    BatchOptions,
    Tally,
    answer_entry,
    asked_options,
    error_entry,
    failure_entry,
    part_of,
    whole,
)

from ._bridge import Context, method
from ._llm_work import Bar, KeptWork, each

if TYPE_CHECKING:
    from llmspell_kernel.services.llm.service import LlmService

Position = Annotated[int, msgspec.Meta(ge=1)]


class Batches:
    """Methods of `llm` that ask many prompts."""

    _service: LlmService

    @cached_property
    def kept_work(self) -> KeptWork:
        return KeptWork()

    @method(replay="again")
    async def batch(self, ctx: Context, prompts: list[Any], options: BatchOptions | None = None) -> list[dict[str, Any]]:
        """Ask a model many prompts, some at once, and show how far it is: a list of what came of each, in their order.

        An entry is `{index, text, model, finish_reason, usage, cost_usd}`, with `tool_calls` where there are some, or `{index, error}` with
        `error = {code, message, retryable}`; `index` counts from 1.  Each prompt is a call of `llm.generate`.
        - prompts: texts, or lists of messages as `llm.chat` takes them; at most 10,000

        A prompt that fails is an entry like the others.  With `on_error = "stop"` no more are asked, and its error is raised, as are in any
        case those that are of no single prompt: a budget or a limit that is met, a call that is not allowed.  Prompts that were asked already
        come to their end.  What was done until then, also where the cell was stopped, is what `llm.last_batch` gives.
        Raises BridgeError unknown_model before anything is asked.
        """
        options = options or BatchOptions()
        if len(prompts) > MAX_PROMPTS:
            raise LimitError(
                f"{len(prompts):,} prompts are more than the {MAX_PROMPTS:,} that one batch takes; ask them in portions",
                limit="batch_prompts",
                value=MAX_PROMPTS,
                used=len(prompts),
            )
        if options.model:
            self._service.check(options.model)
        return await self._batch(ctx, prompts, options)

    async def _batch(self, ctx: Context, prompts: list[Any], options: BatchOptions) -> list[dict[str, Any]]:
        asked = asked_options(options)
        entries: dict[int, dict[str, Any]] = {}
        tally = Tally(len(prompts), time.monotonic())
        bar = Bar(ctx, "llm.batch", tally)

        async def ask(number: int) -> None:
            try:
                answer = await ctx.call("llm", "generate", prompts[number - 1], asked)
            except SpellError as error:
                entries[number] = failure_entry(number, error_entry(error))
                tally.add_failure(error.code)
                bar.move()
                if not error.of_one_call or options.on_error == "stop":
                    raise
                return
            entries[number] = answer_entry(number, answer)
            tally.add(answer)
            bar.move()

        try:
            await each(len(prompts), options.concurrency, ask)
        finally:
            self.kept_work.keep(ctx, whole(entries, len(prompts)))
            bar.end()
        return whole(entries, len(prompts))

    @method
    async def last_batch(self, ctx: Context, first: Position = 1, last: Position | None = None) -> list[dict[str, Any]]:
        """What the last `llm.batch` or `llm.compare` of this state has done, also where it failed or was stopped.

        A prompt that had no answer yet has the error code not_asked.
        - first: the first entry to give, counted from 1
        - last: the last one; all where it is left out

        Raises ScriptError with the code no_batch where there was none.
        """
        entries = self.kept_work.of(ctx)
        if entries is None:
            raise ScriptError("no batch has run in this state", code="no_batch")
        return part_of(entries, first, last)
