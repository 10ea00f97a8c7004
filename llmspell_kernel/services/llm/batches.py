"""Many questions: what comes of each, and how far they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from llmspell_kernel.errors import LimitError, SpellError

from .models import ChatOptions

MAX_PROMPTS = 10_000
MAX_AT_ONCE = 200
MAX_ANSWER_CHARS = 64_000_000
"""Of all answers together, which are kept until the last has come; a provider may say megabytes to each."""
NOT_ASKED = "not_asked"
Concurrency = Annotated[int, msgspec.Meta(ge=1, le=MAX_AT_ONCE)]


class BatchOptions(ChatOptions, frozen=True, forbid_unknown_fields=True):
    """How to answer: all that `llm.chat` takes, for each of the prompts, and

    - concurrency: how many are asked at once, 1 to 200
    - on_error: "collect" goes on where a prompt fails, "stop" asks no more and raises its error
    """

    concurrency: Concurrency = 8
    on_error: Literal["collect", "stop"] = "collect"


def asked_options(options: ChatOptions) -> dict[str, Any]:
    """What is set of those that `llm.generate` takes, as it is written in a call of it."""
    return {name: value for name, value in options.given.items() if name in ChatOptions.__struct_fields__}


def error_entry(error: SpellError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "retryable": error.retryable}


def not_asked() -> dict[str, Any]:
    return {"code": NOT_ASKED, "message": "the batch ended before this prompt was answered", "retryable": True}


def answer_entry(number: int, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Of what `llm.generate` gave, all but the time, which is another in each run."""
    kept = {name: answer.get(name) for name in ("text", "model", "finish_reason", "usage", "cost_usd")}
    calls = answer.get("tool_calls")
    return {"index": number, **kept, **({"tool_calls": calls} if calls else {})}


def failure_entry(number: int, error: Mapping[str, Any]) -> dict[str, Any]:
    return {"index": number, "error": dict(error)}


def whole(entries: Mapping[int, dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """One entry for each question, in order, also for those that nobody came to."""
    return [entries.get(number) or failure_entry(number, not_asked()) for number in range(1, count + 1)]


class Tally:
    """How far many questions are.  Pure: the caller tells the time, in seconds."""

    def __init__(self, total: int, now_s: float) -> None:
        self.total = total
        self.done = 0
        self.unpriced = 0
        self.cost_usd = 0.0
        self._began_s = now_s
        self._chars = 0
        self._failures: Counter[str] = Counter()

    def add(self, answer: Mapping[str, Any]) -> None:
        """What `llm.generate` gave.  Raises LimitError where all the answers are too long to be kept."""
        self.done += 1
        self._pay(answer.get("cost_usd"))
        self._chars += len(answer["text"])
        if self._chars > MAX_ANSWER_CHARS:
            raise LimitError(
                f"the answers have more than {MAX_ANSWER_CHARS:,} characters in all; ask for less (max_tokens), or in portions",
                limit="batch_chars",
                value=MAX_ANSWER_CHARS,
            )

    def add_failure(self, code: str) -> None:
        self.done += 1
        self._failures[code] += 1

    def _pay(self, cost_usd: float | None) -> None:
        if cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd += cost_usd

    def lasting(self) -> str:
        """What is true for good: it is written into the saved notebook, and the next run must say the same."""
        return " · ".join(filter(None, (self._failed(), self._cost())))

    def passing(self, now_s: float) -> str:
        """With how fast it goes, and how long it may take yet."""
        taken_s = now_s - self._began_s
        if not self.done or taken_s <= 0:
            return self.lasting()
        rate = self.done / taken_s
        left_s = (self.total - self.done) / rate
        return " · ".join(filter(None, (f"{rate:.3g}/s", f"{_clock(left_s)} left", self.lasting())))

    def _failed(self) -> str:
        count = sum(self._failures.values())
        codes = ", ".join(f"{code} {number}" for code, number in sorted(self._failures.items())[:5])
        return f"{count:,} failed ({codes})" if count else ""

    def _cost(self) -> str:
        unknown = f"{self.unpriced:,} of unknown price" if self.unpriced else ""
        return " + ".join(filter(None, (f"${self.cost_usd:.4f}" if self.cost_usd else "", unknown)))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(min(round(seconds), 359_999), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def part_of(entries: Sequence[dict[str, Any]], first: int, last: int | None) -> list[dict[str, Any]]:
    """From the one to the other, counted from 1, both with them."""
    return list(entries[max(0, first - 1) : last])
