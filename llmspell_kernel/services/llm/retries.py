"""When an answer is asked for again.  Pure: the decision follows from its arguments.

Rules
- Only where nothing of the answer has come: a second answer after half a first one would be shown and paid twice.
- Only what passes by itself: too many calls, a provider that is overloaded or down.  A wrong request stays wrong.
- Never earlier than the provider's Retry-After says; where that is longer than MAX_WAIT_S, or than the call may still take, the error tells it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llmspell_kernel.errors import BridgeError

RETRIED = frozenset({"rate_limit", "server_error"})
FIRST_WAIT_S = 0.5
MAX_WAIT_S = 30.0
SPREAD = 0.25
"""Clients that were refused together must not come back together: each wait is longer by up to this share."""


class Retry(NamedTuple):
    """The attempt that comes next, after `wait_s` seconds, because of `error`."""

    attempt: int
    attempts: int
    wait_s: float
    error: BridgeError


RetryRule = Callable[[BridgeError, int, int, float, float], Retry | None]
"""`next_attempt`, or the rule of a model that has others to ask."""


def next_attempt(error: BridgeError, failed: int, retries: int, left_s: float, chance: float) -> Retry | None:
    """What follows the failed attempt number `failed` (from 1), None where its error is the end.  `chance` is a random number below 1."""
    if error.code not in RETRIED or failed > retries:
        return None
    wait_s = max(FIRST_WAIT_S * 2 ** (failed - 1), error.retry_after_s or 0.0)
    if wait_s > MAX_WAIT_S:
        return None
    wait_s *= 1 + SPREAD * chance
    return Retry(failed + 1, retries + 1, wait_s, error) if wait_s < left_s else None
