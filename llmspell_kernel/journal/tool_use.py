"""What tools came to, by the events of sessions: calls, failures, times, and what models took that they asked.  Pure.

Rules
- A call is one of `tools.call`, however it was asked.  One of a tool that does not exist counts nowhere.
- Tokens and money of a model count for every tool within whose call it was asked, once each: a tool that asks another has that one's too.
- A journal may be a stranger's: what is no name of a tool is left out, and calls that are within each other in a ring end there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .events import AnyEvent, CallFailed, CallFinished, CallStarted, CallUsage
from .performance import percentile

UNKNOWN = "unknown_tool"
NAME_CHARS = 64


@dataclass(slots=True)
class _Use:
    seconds: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0


class ToolUse:
    """`read` takes one session's events at a time."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    def read(self, events: Iterable[AnyEvent]) -> None:
        parents: dict[int, int | None] = {}
        names: dict[int, str] = {}
        spent: list[tuple[list[str], CallUsage]] = []
        for event in events:
            match event:
                case CallStarted():
                    parents[event.call] = event.parent
                    if (name := _name(event)) is not None:
                        names[event.call] = name
                case CallUsage():
                    # once each: a tool that calls itself has asked the model once
                    spent.append((sorted({names[call] for call in _around(event.call, parents) if call in names}), event))
                case CallFinished() if event.call in names:
                    self._of(names[event.call]).seconds.append(event.duration_s)
                case CallFailed() if event.call in names and event.code != UNKNOWN:
                    failures = self._of(names[event.call]).failures
                    failures[event.code] = failures.get(event.code, 0) + 1
        for tools, usage in spent:
            for name in tools:
                use = self._of(name)
                use.tokens += usage.input_tokens + usage.output_tokens
                use.cost_usd += usage.cost_usd or 0.0
                use.unpriced += usage.cost_usd is None

    def rows(self) -> list[dict[str, Any]]:
        """By name; `failures` are counted by code, times are those of calls that came to their end, None where there is none."""
        return [
            {
                "name": name,
                "calls": len(use.seconds) + sum(use.failures.values()),
                "failures": dict(sorted(use.failures.items())),
                "latency_p50_s": percentile(use.seconds, 50),
                "latency_p95_s": percentile(use.seconds, 95),
                "tokens": use.tokens,
                "cost_usd": round(use.cost_usd, 9),
                "unpriced": use.unpriced,
            }
            for name, use in sorted(self._uses.items())
        ]

    def _of(self, name: str) -> _Use:
        return self._uses.setdefault(name, _Use())


def _name(event: CallStarted) -> str | None:
    if (event.bridge, event.method) != ("tools", "call") or not event.arguments:
        return None
    name = event.arguments[0]
    return name if isinstance(name, str) and 0 < len(name) <= NAME_CHARS else None


def _around(call: int | None, parents: dict[int, int | None]) -> Iterator[int]:
    """The call, and those that it is within."""
    seen: set[int] = set()
    while call is not None and call not in seen:
        seen.add(call)
        yield call
        call = parents.get(call)
