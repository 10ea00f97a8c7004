"""Numbers that a session may have written: a journal may be a stranger's, and dates and sums of others would fail or mislead.  Pure."""

from __future__ import annotations

from .events import AnyEvent, CallUsage
from .instants import LATEST_S

MOST_TOKENS = 2**40
MOST_USD = 1e9


def is_plausible(event: AnyEvent) -> bool:
    return 0 <= event.time <= LATEST_S and (not isinstance(event, CallUsage) or _may_be_used(event))


def _may_be_used(used: CallUsage) -> bool:
    counts = (used.input_tokens, used.output_tokens, used.cached_tokens)
    return all(0 <= count <= MOST_TOKENS for count in counts) and (used.cost_usd is None or 0 <= used.cost_usd <= MOST_USD)
