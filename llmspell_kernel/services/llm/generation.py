"""One answer in the making: its text as it comes, and everything known about it at the end.

Where nothing of it has come, a call that failed for a passing reason is made again (see retries.py), and who asked is told.
Invariants: the model's generator is closed when `texts` is left in any way; `finish_reason` stays "incomplete" until the model itself
says otherwise; all fields are readable at any time.  `usage` is nothing until something may have been taken, and its cost not known from the
moment a question is out until the model has told its first usage, which it does once the question was accepted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from llmspell_kernel.errors import BridgeError

from .models import Delta, Model, Request, ToolCall, Usage
from .retries import Retry, RetryRule, next_attempt

INCOMPLETE = "incomplete"
"""The journal's word too (journal/events.py), which services do not know."""
MAX_CHARS = 4_000_000
"""Of one answer: ten times what the largest models can say.  One that goes on and on would else fill the memory until its timeout."""
NOTHING = Usage(cost_usd=0.0)
NOT_KNOWN = Usage()
REFUSED = frozenset(
    {
        "missing_key",
        "bad_key",
        "forbidden",
        "rate_limit",
        "unreachable",
        "server_error",
        "unknown_model",
        "unsupported_option",
        "bad_request",
    }
)
"""Failures of a question that was not accepted, and so is not paid for.  Others leave it open: a timeout, and prompts that are too long or
against a content policy, which Azure bills."""


class Generation:
    """Made by `LlmService.generation`; iterate `texts()` once."""

    def __init__(self, model: Model, request: Request, clock: Callable[[], float], rule: RetryRule = next_attempt) -> None:
        self._model = model
        self._rule = rule
        self._answers = request.model
        self._spent_before = NOTHING
        self._out_of_time = False
        self.request = request
        self._clock = clock
        self._pieces: list[str] = []
        self._chars = 0
        self.waited_s = 0.0
        """For the model, altogether: the time that `limit_s` limits."""
        self.limit_s = request.options.timeout_s
        self.tool_calls: list[ToolCall] = []
        self.finish_reason = INCOMPLETE
        self.usage = NOTHING
        self.attempts = 0
        self.on_retry: Callable[[Retry], None] = lambda retry: None
        """Called before the wait for each further attempt; what it raises ends the answer."""
        self.before_retry: Callable[[], Awaitable[None]] = _nothing
        """Awaited before each further attempt, likewise."""
        self.latency_s = 0.0
        """From asking until the end, once ended, without the wait for the model's turn."""

    @property
    def model(self) -> str:
        """Who answers: of a router, the model that was asked last."""
        return self._answers

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    async def texts(self) -> AsyncGenerator[str, None]:
        """The text, piece by piece.  Raises BridgeError (`timeout` after `timeout_s` seconds of waiting) and what the model raises."""
        started = self._clock()
        await self._model.prepare()
        prepared = self._clock()
        async with self._model.turn():
            started += self._clock() - prepared
            try:
                async with aclosing(self._attempts()) as texts:
                    async for text in texts:
                        yield text
            finally:
                self.latency_s = self._clock() - started

    async def _attempts(self) -> AsyncGenerator[str, None]:
        retry: Retry | None = None
        while retry is None or await self._waited_for(retry):
            try:
                async with aclosing(self._attempt()) as texts:
                    async for text in texts:
                        yield text
                return
            except BridgeError as error:
                if self.usage is NOT_KNOWN and error.code in REFUSED:
                    self.usage = NOTHING
                retry = self._retry_after(error)
                if retry is None:
                    raise

    async def _attempt(self) -> AsyncGenerator[str, None]:
        self.attempts += 1
        self._spent_before = self.usage  # of attempts that failed, and may be paid for all the same
        if self.usage is NOTHING:
            self.usage = NOT_KNOWN
        async with aclosing(self._model.stream(self.request)) as deltas:
            while (delta := await self._next(deltas)) is not None:
                self._take(delta)
                if delta.text:
                    yield delta.text

    def _retry_after(self, error: BridgeError) -> Retry | None:
        options = self.request.options
        if self._pieces or self.tool_calls or self._out_of_time:
            return None
        chance = random.random()  # noqa: S311  spreads waits, guards nothing
        return self._rule(error, self.attempts, options.retries, self.limit_s - self.waited_s, chance)

    async def _waited_for(self, retry: Retry) -> bool:
        self.on_retry(retry)
        self.waited_s += retry.wait_s
        await asyncio.sleep(retry.wait_s)
        await self.before_retry()
        return True

    def _take(self, delta: Delta) -> None:
        self._answers = delta.model or self._answers
        self._chars += len(delta.text)
        if self._chars > MAX_CHARS:
            raise BridgeError(
                f"{self.model} sent more than {MAX_CHARS} characters in one answer, which was given up; ask for less (max_tokens)",
                code="too_large",
            )
        if delta.text:
            self._pieces.append(delta.text)
        self.tool_calls.extend(delta.tool_calls)
        self.finish_reason = delta.finish_reason or self.finish_reason
        if delta.usage is not None:
            self.usage = delta.usage if self._spent_before is NOTHING else _both(self._spent_before, delta.usage)

    async def _next(self, deltas: AsyncGenerator[Delta, None]) -> Delta | None:
        """The next piece, or None at the end.  Only this waiting counts for the timeout, not what the reader does between pieces."""
        limit = self.limit_s
        began = self._clock()
        timeout = asyncio.timeout(max(0.0, limit - self.waited_s))
        try:
            async with timeout:
                return await anext(deltas, None)
        except TimeoutError:
            if not timeout.expired():
                raise
            self._out_of_time = True
            raise BridgeError(
                f"{self.model} did not finish within {limit:g} s; ask for less (max_tokens) or raise timeout_s",
                code="timeout",
                retryable=True,
            ) from None
        finally:
            self.waited_s += self._clock() - began


def _both(one: Usage, other: Usage) -> Usage:
    known = one.cost_usd is not None and other.cost_usd is not None
    return Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cached_tokens + other.cached_tokens,
        (one.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
        one.estimated or other.estimated,
    )


async def _nothing() -> None:
    pass
