"""What runs have used and may use: pydantic-ai's counts and limits, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic_ai import UsageLimitExceeded, UsageLimits
from pydantic_ai.usage import RequestUsage, RunUsage

from llmspell_kernel.errors import LimitError

from .definition import COUNTED, Limits

_LIMITS = ("requests", "input_tokens", "output_tokens", "total_tokens", "tool_calls")


def usage_limits(limits: Limits) -> UsageLimits:
    return UsageLimits(
        request_limit=limits.requests,
        input_tokens_limit=limits.input_tokens,
        output_tokens_limit=limits.output_tokens,
        total_tokens_limit=limits.total_tokens,
        tool_calls_limit=limits.tool_calls,
    )


@dataclass(slots=True)
class Account:
    """One run's, or a team's.  What a run uses counts for all that it is within; pydantic-ai itself holds its own run to its limits.

    `cost_usd` None = the price of some answer is not known.
    """

    limits: Limits
    owner: str
    within: Account | None = None
    usage: RunUsage = field(default_factory=RunUsage)
    cost_usd: float | None = 0.0

    def outer(self) -> Iterator[Account]:
        account = self.within
        while account is not None:
            yield account
            account = account.within

    def before_request(self) -> None:
        """Raises LimitError where a run or team around this one may not ask once more."""
        for account in self.outer():
            with told(account):
                usage_limits(account.limits).check_before_request(account.usage)

    def used(self, usage: RequestUsage, cost_usd: float | None) -> None:
        """Raises LimitError where that was too much for a run or team around this one."""
        self.add_cost(cost_usd)
        for account in self.outer():
            account.usage.incr(usage)
            account.usage.requests += 1
            account.add_cost(cost_usd)
        for account in self.outer():
            with told(account):
                usage_limits(account.limits).check_tokens(account.usage)

    def before_tool(self) -> None:
        """Raises LimitError where a run or team around this one may call no more tools."""
        for account in self.outer():
            most = account.limits.tool_calls
            if most is not None and account.usage.tool_calls >= most:
                raise limit_error(account, "tool_calls")

    def tool_called(self) -> None:
        for account in self.outer():
            account.usage.tool_calls += 1

    def add_cost(self, cost_usd: float | None) -> None:
        self.cost_usd = None if cost_usd is None or self.cost_usd is None else self.cost_usd + cost_usd

    def counts(self) -> dict[str, int]:
        return {name: int(getattr(self.usage, name)) for name in COUNTED}


class told:
    """Tells pydantic-ai's refusal as the LimitError that names the limit."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UsageLimitExceeded):
            raise limit_error(self._account, exceeded(self._account, error)) from error


def exceeded(account: Account, error: UsageLimitExceeded) -> str:
    """Which limit it was: the error has only a text, and the next call that would be too many is not counted yet."""
    for name in _LIMITS:
        most = getattr(account.limits, name)
        word = {"requests": "request_limit", "tool_calls": "tool_calls_limit"}.get(name, f"{name}_limit")
        if most is not None and word in str(error):
            return name
    return "requests"


def limit_error(account: Account, name: str) -> LimitError:
    most = getattr(account.limits, name) or 0
    used = int(getattr(account.usage, name))
    return LimitError(
        f"{account.owner} met its limit of {most:,} {name.replace('_', ' ')} (used: {used:,}); give it more with"
        f" limits = {{{name} = ...}}, or a smaller task",
        limit=f"agent_{name}",
        value=most,
        used=used,
    )
