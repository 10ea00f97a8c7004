"""`llm.compare`: prompts, models and parameters against each other.  A part of the bridge `llm`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llmspell_kernel.errors import BridgeError, ScriptError, SpellError
from llmspell_kernel.services.llm.batches import Tally, asked_options
from llmspell_kernel.services.llm.compare_options import CompareOptions
from llmspell_kernel.services.llm.models import ChatOptions
from llmspell_kernel.shown import Matrix

from ._bridge import Context, method
from ._checking import converted
from ._llm_work import Bar, KeptWork, each

if TYPE_CHECKING:
    from llmspell_kernel.services.llm.checks import Check, Finding
    from llmspell_kernel.services.llm.comparisons import Plan, Run
    from llmspell_kernel.services.llm.service import LlmService


class Comparisons:
    """Methods of `llm` that compare."""

    _service: LlmService

    if TYPE_CHECKING:

        @property
        def kept_work(self) -> KeptWork:
            """Of `Batches`."""

    @cached_property
    def _measured(self) -> _Measured:
        return _Measured()

    @method(replay="again")
    async def compare(self, ctx: Context, what: CompareOptions) -> dict[str, Any]:
        """Ask every prompt of every model with every value of the parameters and every case, check the answers, and show how many pass.

        `{columns, rows, summary}`: `rows` are flat objects with the `columns` prompt, model, each parameter that has several values, case,
        repeat, passed, one for each check, text, reasons, error, cost_usd, latency_ms, input_tokens and output_tokens, so that they are a
        DataFrame in Python; `summary` has `{prompt, model, ..., runs, passed, pass_rate, errors, checks, cost_usd, latency_ms}` for each
        prompt, model and parameter, `checks` being pass rates by check, `latency_ms` the median.
        - what: prompts, models, cases, params, checks, repeat, concurrency

        Texts of checks are templates too: `{contains = "{{capital}}"}` is compared with the case's value.  A function of a check is given
        the text and `{prompt, model, case, values, cost_usd}`, and returns whether it passes, or `{pass, reason}`; where it raises, the check
        has failed.  A question that fails is a row with its `error`; a budget or a limit that is met, and a call that is not allowed, end it
        all, and `llm.last_batch` has the rows so far.

        Raises LimitError for more than 2,000 combinations, ScriptError missing_variables and BridgeError unknown_model, before anything is
        asked.
        """
        from llmspell_kernel.services.llm.checks import checks_of
        from llmspell_kernel.services.llm.comparisons import columns_of, matrix_of, plan_of, summary_of

        plan, fixed = plan_of(what, self._service.model)
        checks = await asyncio.to_thread(checks_of, what.checks)
        for model in (*plan.models, *(check.wanted for check in checks if check.kind == "judge")):
            self._service.check(model)
        asked = [asked_options(converted({**fixed, **params}, ChatOptions, "params")) for params in plan.params]
        questions = await self._questions(ctx, plan, checks)
        rows = await self._rows(ctx, plan, checks, questions, asked, what.concurrency)
        summary = summary_of(plan, checks, rows)
        heads, lines, shares = matrix_of(plan, summary)
        passed = sum(row["passed"] for row in rows)
        ctx.show(Matrix(heads, lines, shares, f"Comparison: {passed:,} of {len(rows):,} passed"))
        return {"columns": columns_of(plan, checks), "rows": rows, "summary": summary}

    async def _questions(self, ctx: Context, plan: Plan, checks: Sequence[Check]) -> dict[tuple[str, int], Any]:
        """By prompt and case; whatever lacks a value is told before anything is asked."""
        from llmspell_kernel.services.llm.comparisons import filled

        questions = {}
        for prompt in plan.prompts:
            for number, values in enumerate(plan.cases, 1):
                if isinstance(prompt.source, tuple):
                    questions[prompt.label, number] = await ctx.call("prompt", "rendered", *prompt.source, dict(values))
                else:
                    questions[prompt.label, number] = prompt.source.render(values)
        for check in checks:
            for values in plan.cases:
                if check.kind in ("equals", "contains"):
                    filled(check.wanted, values)
        return questions

    async def _rows(
        self,
        ctx: Context,
        plan: Plan,
        checks: Sequence[Check],
        questions: Mapping[tuple[str, int], Any],
        asked: Sequence[Mapping[str, Any]],
        at_once: int,
    ) -> list[dict[str, Any]]:
        from llmspell_kernel.services.llm.comparisons import row_of

        runs = list(plan.runs())
        options = {id(params): of for params, of in zip(plan.params, asked, strict=True)}
        rows: dict[int, dict[str, Any]] = {}
        tally = Tally(len(runs), time.monotonic())
        bar = Bar(ctx, "llm.compare", tally)

        async def ask(number: int) -> None:
            run = runs[number - 1]
            question = questions[run.prompt.label, run.case]
            try:
                answer = await ctx.call("llm", "generate", question, {**options[id(run.params)], "model": run.model})
                findings = [await self._found(ctx, check, plan, run, question, answer) for check in checks]
            except SpellError as error:
                tally.add_failure(error.code)
                rows[number] = row_of(plan, run, checks, None, {}, f"{error.code}: {error.message}")
                if not error.of_one_call:
                    raise
            else:
                rows[number] = row_of(plan, run, checks, findings, answer)
                tally.add(answer)
            bar.move()

        try:
            await each(len(runs), at_once, ask)
        finally:
            self.kept_work.keep(ctx, [rows[number] for number in sorted(rows)])
            bar.end()
        return [rows[number] for number in range(1, len(runs) + 1)]

    async def _found(self, ctx: Context, check: Check, plan: Plan, run: Run, question: Any, answer: Mapping[str, Any]) -> Finding:
        from llmspell_kernel.services.llm.checks import PASSED, Finding, looked_at, priced
        from llmspell_kernel.services.llm.comparisons import filled

        text = answer["text"]
        values = plan.cases[run.case - 1]
        match check.kind:
            case "equals" | "contains":
                return looked_at(check, text, filled(check.wanted, values))
            case "regex" | "schema":
                return await asyncio.to_thread(looked_at, check, text, check.wanted)
            case "max_cost":
                return priced(check, answer.get("cost_usd"))
            case "max_latency":
                in_time = await self._measured.asked(ctx, answer.get("latency_ms", 0.0), float(check.wanted))
                return PASSED if in_time else Finding(False, "took longer")
            case "judge":
                return await _judged(ctx, check, question, text)
            case _:
                about = {"prompt": run.prompt.label, "model": run.model, "case": run.case, "values": dict(values)}
                return await _by_function(ctx, check, text, {**about, "cost_usd": answer.get("cost_usd")})

    @method(inner=True)
    async def within_time(self, ctx: Context, max_ms: float) -> bool:
        """For `llm.compare`: did the answer at hand come within so many milliseconds?"""
        return self._measured.latency_ms <= max_ms


class _Measured:
    """How long the answer at hand took.  It is asked as a call of its own, which a cassette keeps: how long it took then is not on it, and
    another time would give a replay other rows."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self.latency_ms = 0.0

    async def asked(self, ctx: Context, latency_ms: float, max_ms: float) -> bool:
        async with self._turn:
            self.latency_ms = latency_ms
            return bool(await ctx.call("llm", "within_time", max_ms))


async def _judged(ctx: Context, check: Check, question: Any, text: str) -> Finding:
    from llmspell_kernel.services.llm.checks import Finding, clipped
    from llmspell_kernel.services.llm.judging import VERDICT, verdict_prompt

    try:
        said = await ctx.call("llm", "object", verdict_prompt(check.criterion, question, text), VERDICT, {"model": check.wanted})
    except BridgeError as error:
        return Finding(False, clipped(f"the judge failed: {error.message}"))
    return Finding(bool(said["pass"]), clipped(str(said.get("reason", ""))))


async def _by_function(ctx: Context, check: Check, text: str, about: dict[str, Any]) -> Finding:
    from llmspell_kernel.services.llm.checks import PASSED, Finding, clipped

    try:
        said = await ctx.invoke(check.wanted, text, about)
    except (ScriptError, BridgeError) as error:
        return Finding(False, clipped(f"the function failed: {error.message}"))
    if isinstance(said, dict):
        return Finding(said.get("pass") is True, clipped(str(said.get("reason") or "")))
    return (
        PASSED
        if said is True
        else Finding(False, "the function returned false" if said is False else "the function returned neither true nor false")
    )
