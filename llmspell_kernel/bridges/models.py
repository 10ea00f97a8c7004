"""The bridge `models`: how the models of this project have done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from llmspell_kernel import Bridge, BridgeSession, Context, method
from llmspell_kernel.errors import ArgumentError, ScriptError


class PerformanceOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls count."""

    name: str = ""
    """A model such as "openai/gpt-4o-mini"; all where none is named."""
    since: str | float = 0
    """From when on: a day ("2026-11-01"), a time ("2026-11-01T12:00:00Z"), or Unix seconds."""


class Models(Bridge):
    """How models have done, by the journals that sessions of this project keep."""

    name = "models"

    def __init__(self) -> None:
        self._session: BridgeSession | None = None

    async def open(self, session: BridgeSession) -> None:
        self._session = session

    @method
    async def performance(self, ctx: Context, options: PerformanceOptions | None = None) -> dict[str, Any]:
        """What calls of models came to, in the cells that have ended, of this session and of those before it.

        - options: `{name, since}`: one model, and from when on

        `{calls, failures, latency_p50_s, latency_p95_s, first_token_p50_s, first_token_p95_s, tokens_per_s, input_tokens, output_tokens,
        cached_tokens, cost_usd, unpriced, replayed, days, models, journals, left_out}`.  `failures` counts by error code, "cancelled" being
        those that nobody waited for; `cost_usd` adds up the known prices, and `unpriced` calls have none; `replayed` were answered from a
        cassette, and are in no other figure; `days` and `models` are lists with the same figures for each `day` and `model`; `journals` were
        read, `left_out` could not be.
        """
        if self._session is None:
            raise ScriptError("no journals are kept here", code="unknown")
        chosen = options or PerformanceOptions()
        return await self._session.performance(chosen.name, _seconds(chosen.since))


def _seconds(since: str | float) -> float:
    """Unix seconds; a time without a zone is in UTC, as days of the figures are."""
    if not isinstance(since, str):
        return float(since)
    try:
        read = datetime.fromisoformat(since)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ArgumentError(f"since must be a day such as '2026-11-01', or Unix seconds, not '{since[:60]}'") from None
