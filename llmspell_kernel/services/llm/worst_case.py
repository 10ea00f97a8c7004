"""What a call may use at the most, told before it is made: the budgets of a user reserve that much.

No tokenizer makes more tokens of a text than it has bytes, so bytes are counted, some four times what English really takes: a reservation
lasts as long as its call, and a guess that is too low would let calls that run together pass a cap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from .models import Request

MESSAGE_TOKENS = 16
"""What the form of one message takes beside its text, at the most."""
IMAGE_TOKENS = 50_000
"""The dearest that a picture is read at (gpt-4o-mini, eight tiles)."""
UNTOLD_OUTPUT_TOKENS = 4_096
"""Of an answer, where neither the call (`max_tokens`) nor the list of models says how long it may be."""


class ModelFacts(NamedTuple):
    """Prices in US dollars, the highest of a model's tiers; 0 tokens = not known."""

    input_usd: float = 0.0
    """Of a token, as the next."""
    output_usd: float = 0.0
    request_usd: float = 0.0
    max_input_tokens: int = 0
    max_output_tokens: int = 0


FREE = ModelFacts()


class WorstCase(NamedTuple):
    """`cost_usd` None = the price is not known."""

    input_tokens: int
    output_tokens: int
    cost_usd: float | None


def worst_case(request: Request, facts: ModelFacts, *, is_priced: bool) -> WorstCase:
    asked, options = _input_tokens(request), request.options
    if facts.max_input_tokens:
        asked = min(asked, facts.max_input_tokens)  # a longer one is refused by its provider
    answer = options.max_tokens or facts.max_output_tokens or UNTOLD_OUTPUT_TOKENS
    cost_usd = facts.request_usd + asked * facts.input_usd + answer * facts.output_usd
    return WorstCase(asked, answer, cost_usd if is_priced else None)


def dearest(cases: Iterable[WorstCase]) -> WorstCase:
    """The most that any of them may use; the cost is not known where one of theirs is not."""
    found = list(cases)
    costs = [case.cost_usd for case in found]
    known = [cost for cost in costs if cost is not None]
    return WorstCase(
        max(case.input_tokens for case in found),
        max(case.output_tokens for case in found),
        max(known) if len(known) == len(costs) else None,
    )


def _input_tokens(request: Request) -> int:
    total = sum(MESSAGE_TOKENS + _content(message.get("content")) + _json(message.get("tool_calls")) for message in request.messages)
    form = request.options.response_format
    return total + _json(request.options.tools) + (_json(form) if not isinstance(form, str) else 0)


def _content(content: Any) -> int:
    if isinstance(content, str):
        return _bytes(content)
    parts = content or ()
    return sum(IMAGE_TOKENS if str(part.get("type", "")).startswith("image") else _json(part) for part in parts)


def _json(value: Any) -> int:
    return _bytes(json.dumps(value, ensure_ascii=False, default=str)) if value else 0


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
