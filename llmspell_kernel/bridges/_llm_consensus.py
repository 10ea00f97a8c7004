"""`llm.consensus`: several models, one answer.  A part of the bridge `llm`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmspell_kernel.errors import ArgumentError, BridgeError, SpellError
from llmspell_kernel.services.llm.agreement import MAX_ANSWERS, ConsensusOptions, votes_of
from llmspell_kernel.services.llm.batches import asked_options, error_entry

from ._bridge import Context, method
from ._llm_work import each

if TYPE_CHECKING:
    from llmspell_kernel.services.llm.service import LlmService

AT_ONCE = 16


class Consensus:
    """The method of `llm` that asks several models for one answer."""

    _service: LlmService

    @method(replay="again")
    async def consensus(
        self, ctx: Context, prompt: str | list[dict[str, Any]], models: list[str], options: ConsensusOptions | None = None
    ) -> dict[str, Any]:
        """Ask several models the same, and take one answer: `{text, votes, answers, agreement}`.

        `answers` are `{model, text, cost_usd}` or `{model, error}`, in the order of the models; `votes` are `{text, count, models}`, the most
        frequent first, answers being the same where they differ in case, white space and marks around them alone; `agreement` is the share of the
        answers that say what most say, 0 to 1.  With `strategy = "judge"`, there is `reason` too.
        - models: names, at most 50; the same one may be asked several times

        Raises what the first model raised where none answers, and BridgeError unknown_model before anything is asked.
        """
        options = options or ConsensusOptions()
        _check(models, options)
        for model in (*models, *([options.judge] if options.judge else [])):
            self._service.check(model)
        answers = await _asked(ctx, prompt, models, asked_options(options))
        said = [answer for answer in answers if "text" in answer]
        votes = votes_of(said)
        came_to = await _settled(ctx, prompt, said, votes, options.strategy, options.judge or models[0])
        return {**came_to, "votes": votes, "answers": answers, "agreement": votes[0]["count"] / len(said)}


def _check(models: Sequence[str], options: ConsensusOptions) -> None:
    if not 1 <= len(models) <= MAX_ANSWERS:
        raise ArgumentError(f"llm.consensus takes the names of 1 to {MAX_ANSWERS} models, not {len(models)}")
    if options.model is not None:
        raise ArgumentError("llm.consensus takes its models as a list; the option model has no place in it")


async def _asked(ctx: Context, prompt: Any, models: Sequence[str], asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Raises the first model's failure where none answers."""
    answers: dict[int, dict[str, Any]] = {}
    failures: dict[int, SpellError] = {}

    async def ask(number: int) -> None:
        model = models[number - 1]
        try:
            answer = await ctx.call("llm", "generate", prompt, {**asked, "model": model})
        except SpellError as error:
            if not error.of_one_call:
                raise
            failures[number] = error
            answers[number] = {"model": model, "error": error_entry(error)}
        else:
            answers[number] = {"model": model, "text": answer["text"], "cost_usd": answer["cost_usd"]}

    await each(len(models), AT_ONCE, ask)
    if len(failures) == len(models):
        raise failures[1]
    return [answers[number] for number in range(1, len(models) + 1)]


async def _settled(
    ctx: Context, prompt: Any, said: Sequence[dict[str, Any]], votes: Sequence[dict[str, Any]], strategy: str, judge: str
) -> dict[str, Any]:
    from llmspell_kernel.services.llm.judging import choice_prompt, choice_schema, synthesis_prompt

    texts = [vote["text"] for vote in votes]
    if strategy == "majority" or len(said) == 1:
        return {"text": texts[0]}
    if strategy == "synthesize":
        answer = await ctx.call("llm", "generate", synthesis_prompt(prompt, [one["text"] for one in said]), {"model": judge})
        return {"text": answer["text"]}
    chosen = await ctx.call("llm", "object", choice_prompt(prompt, texts), choice_schema(len(texts)), {"model": judge})
    number = chosen.get("number") if isinstance(chosen, dict) else None
    if not isinstance(number, int) or not 1 <= number <= len(texts):
        raise BridgeError("the judge named no answer", code="invalid_object", retryable=True)
    return {"text": texts[number - 1], "reason": str(chosen.get("reason", ""))}
