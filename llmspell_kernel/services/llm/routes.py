"""What is known of the models behind a router: which may be asked now, and why not.  Pure: the time is an argument.

Rules
- A model that has failed more than `allowed_fails` times in a row cools down: it is not asked for `cooldown_s` seconds.
- One that limits the rate of calls cools down at once, and never shorter than its Retry-After says.
- What the request is to blame for (a wrong option, a refused prompt) is no failure of the model.
"""

from __future__ import annotations

from collections import deque

from llmspell_kernel.errors import BridgeError

MINUTE_S = 60.0
LATENCIES = 10
"""So many of the last count."""
MOVES_ON = frozenset(
    {
        "rate_limit",
        "server_error",
        "unreachable",
        "timeout",
        "bad_key",
        "missing_key",
        "forbidden",
        "unknown_model",
        "bad_response",
        "connection_lost",
        "context_length",
    }
)
"""Failures that another model may not have."""
NO_FAILURES = frozenset({"context_length"})
"""Of these, what says nothing of the model's health."""


class Route:
    """One model of one router.  `calls` were begun, `failures` failed, `in_flight` go on."""

    __slots__ = ("_begun", "_failed_in_a_row", "_first_s", "_used", "calls", "cools_until", "failures", "in_flight", "last_error", "model")

    def __init__(self, model: str) -> None:
        self.model = model
        self.calls = self.failures = self.in_flight = 0
        self.last_error = ""
        """The code of its last failure; "" after a success."""
        self.cools_until = 0.0
        self._failed_in_a_row = 0
        self._begun: deque[float] = deque()
        self._first_s: deque[float] = deque(maxlen=LATENCIES)
        self._used: deque[tuple[float, int]] = deque()

    def cools_for_s(self, now: float) -> float:
        return max(0.0, self.cools_until - now)

    def full_for_s(self, now: float, rpm: int | None) -> float:
        """How long until it may be asked again, by the number of requests a minute."""
        while self._begun and self._begun[0] <= now - MINUTE_S:
            self._begun.popleft()
        return 0.0 if rpm is None or len(self._begun) < rpm else self._begun[0] + MINUTE_S - now

    @property
    def latency_s(self) -> float:
        """Until the first of an answer comes, on average lately; 0 for one that is not measured yet, and so is asked first."""
        return sum(self._first_s) / len(self._first_s) if self._first_s else 0.0

    def answered_after(self, seconds: float) -> None:
        self._first_s.append(seconds)

    def used(self, tokens: int, now: float) -> None:
        self.tokens_in_minute(now)  # else nobody would take the old ones out
        self._used.append((now, tokens))

    def tokens_in_minute(self, now: float) -> int:
        while self._used and self._used[0][0] <= now - MINUTE_S:
            self._used.popleft()
        return sum(tokens for _, tokens in self._used)

    def begin(self, now: float, rpm: int | None) -> None:
        self.calls += 1
        self.in_flight += 1
        if rpm is not None:  # else nobody would take them out
            self._begun.append(now)

    def end(self) -> None:
        self.in_flight -= 1

    def succeeded(self) -> None:
        self._failed_in_a_row = 0
        self.last_error = ""

    def failed(self, error: BridgeError, now: float, allowed_fails: int, cooldown_s: float) -> None:
        if error.code not in MOVES_ON or error.code in NO_FAILURES:
            return
        self.failures += 1
        self._failed_in_a_row += 1
        self.last_error = error.code
        if error.code == "rate_limit" or self._failed_in_a_row > allowed_fails:
            self.cools_until = max(self.cools_until, now + max(cooldown_s, error.retry_after_s or 0.0))
