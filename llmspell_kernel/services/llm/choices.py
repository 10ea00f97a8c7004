"""Which listed models fit a purpose, the best first, each with the reasons.  Pure.

Nobody's list says how good a model is.  "good" goes by what a provider itself asks for it, its reasoning and its reach, and says so; what a model has
done in this project stands beside it, and one that failed often is put behind the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_kernel.errors import ArgumentError, nearest

from .listing import Listed, check_needs

TASKS = {
    "chat": (),
    "write": (),
    "summarize": (),
    "translate": (),
    "classify": (),
    "extract": ("json",),
    "agent": ("tools",),
    "code": ("tools",),
    "reason": ("reasoning",),
    "see": ("vision",),
    "read_pdf": ("pdf",),
    "listen": ("audio",),
    "search": ("web_search",),
}
"""What each needs."""
ENOUGH_CALLS = 5
"""Before that many, failures are chance."""
FAILS_OFTEN = 0.2
PREFERENCES = ("cheap", "fast", "good", "long")
UNKNOWN_LATENCY = math.inf


class Wish(NamedTuple):
    """`budget` in US dollars for one call of so many tokens, None = any."""

    task: str = "chat"
    needs: tuple[str, ...] = ()
    budget: float | None = None
    prefer: str = "cheap"
    limit: int = 5
    input_tokens: int = 1000
    output_tokens: int = 500


class Measured(NamedTuple):
    """What a model has done, by the journals of the project."""

    calls: int
    failure_rate: float
    latency_p50_s: float | None
    tokens_per_s: float | None


def choices(models: Sequence[Listed], wish: Wish, measured: Mapping[str, Measured], today: str) -> list[dict[str, Any]]:
    """The best first; `today` as "2026-11-01".  Raises ArgumentError for a task or a need that is unknown."""
    if wish.task not in TASKS:
        raise ArgumentError(f"there is no task '{wish.task[:40]}'{nearest(wish.task, list(TASKS))}")
    check_needs(wish.needs)
    needs = {*wish.needs, *TASKS[wish.task]}
    fit = [model for model in models if _fits(model, wish, needs, today)]
    order = _ORDERS[wish.prefer]
    fit.sort(key=lambda model: (_fails_often(measured.get(model.name)), *order(model, wish, measured.get(model.name)), model.name))
    return [_told(model, wish, sorted(needs), measured.get(model.name)) for model in fit[: wish.limit]]


def measured_of(performance: Mapping[str, Any]) -> dict[str, Measured]:
    """By model, of what the bridge's `performance` tells."""
    found = {}
    for model in performance.get("models", []):
        calls = int(model["calls"])
        failed = sum(count for code, count in model["failures"].items() if code != "cancelled")  # that was nobody's fault
        if calls:
            found[str(model["model"])] = Measured(calls, failed / calls, model["latency_p50_s"], model["tokens_per_s"])
    return found


def _fits(model: Listed, wish: Wish, needs: set[str], today: str) -> bool:
    if not needs <= set(model.supports) or model.provider == "spell" or (model.deprecated and model.deprecated <= today):
        return False
    if (model.context_window and model.context_window < wish.input_tokens) or (model.max_output and model.max_output < wish.output_tokens):
        return False
    cost = model.cost_usd(wish.input_tokens, wish.output_tokens)
    return wish.budget is None or (cost is not None and cost <= wish.budget)


def _fails_often(seen: Measured | None) -> bool:
    return seen is not None and seen.calls >= ENOUGH_CALLS and seen.failure_rate > FAILS_OFTEN


def _cost(model: Listed, wish: Wish) -> float:
    cost = model.cost_usd(wish.input_tokens, wish.output_tokens)
    return math.inf if cost is None else cost  # what is not known is not cheap


def _cheap(model: Listed, wish: Wish, seen: Measured | None) -> tuple[float, ...]:
    return (_cost(model, wish), -model.context_window)


def _fast(model: Listed, wish: Wish, seen: Measured | None) -> tuple[float, ...]:
    """Those that were measured first; of the others, the cheaper are the smaller and so mostly the faster."""
    latency = UNKNOWN_LATENCY if seen is None or seen.latency_p50_s is None else seen.latency_p50_s
    return (latency, "reasoning" in model.supports, _cost(model, wish))


def _good(model: Listed, wish: Wish, seen: Measured | None) -> tuple[float, ...]:
    cost = model.cost_usd(wish.input_tokens, wish.output_tokens)
    return ("reasoning" not in model.supports, -(cost or 0.0), -model.context_window)


def _long(model: Listed, wish: Wish, seen: Measured | None) -> tuple[float, ...]:
    return (-model.context_window, _cost(model, wish))


_ORDERS: Mapping[str, Callable[[Listed, Wish, Measured | None], tuple[float, ...]]] = {
    "cheap": _cheap,
    "fast": _fast,
    "good": _good,
    "long": _long,
}


def _told(model: Listed, wish: Wish, needs: Sequence[str], seen: Measured | None) -> dict[str, Any]:
    cost = model.cost_usd(wish.input_tokens, wish.output_tokens)
    told: dict[str, Any] = {
        "name": model.name,
        "provider": model.provider,
        "price": model.price,
        "reason": _reason(model, wish, needs, seen),
    }
    if cost is not None:
        told["cost_usd"] = round(cost, 9)
    if model.context_window:
        told["context_window"] = model.context_window
    if seen is not None:
        told |= {"calls": seen.calls, "failure_rate": round(seen.failure_rate, 4)}
        if seen.latency_p50_s is not None:
            told["latency_p50_s"] = seen.latency_p50_s
    return told


def _reason(model: Listed, wish: Wish, needs: Sequence[str], seen: Measured | None) -> str:
    cost = model.cost_usd(wish.input_tokens, wish.output_tokens)
    parts = [f"supports {', '.join(needs)}"] if needs else []
    if cost is None:
        parts.append("its price is unknown")
    elif not cost:
        parts.append("is listed as free")
    else:
        parts.append(f"${cost:.6g} for {wish.input_tokens} tokens in and {wish.output_tokens} out")
    if model.context_window:
        parts.append(f"reads {model.context_window} tokens")
    if wish.prefer == "good":
        parts.append("good by its provider's price" + (" and its reasoning" if "reasoning" in model.supports else ""))
    if seen is None:
        parts.append("not measured here yet")
    else:
        latency = "" if seen.latency_p50_s is None else f"{seen.latency_p50_s:.3g} s and "
        parts.append(f"here {latency}{seen.failure_rate:.0%} failures in {seen.calls} calls")
    return "; ".join(parts)
