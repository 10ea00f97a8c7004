"""What is known of each model: sizes, prices, what it supports; from litellm's price list, read without importing litellm.

Rules
- A price that is not listed, or makes no sense, is unknown, and never 0; 0 is a price where the list says so.
- The list is data of others: names that could not be called are left out, and every number is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from functools import cached_property
from typing import Any, NamedTuple

from llmspell_kernel.errors import ArgumentError, BridgeError, nearest

from .catalogue import ANSWERING_MODES
from .numbers import price_of, tokens_of
from .providers import LOCAL, SPELL_MODELS, SPELL_PROVIDER

NEEDS = {
    "tools": "supports_function_calling",
    "parallel_tools": "supports_parallel_function_calling",
    "tool_choice": "supports_tool_choice",
    "vision": "supports_vision",
    "json": "supports_response_schema",
    "reasoning": "supports_reasoning",
    "caching": "supports_prompt_caching",
    "system": "supports_system_messages",
    "pdf": "supports_pdf_input",
    "audio": "supports_audio_input",
    "audio_output": "supports_audio_output",
    "video": "supports_video_input",
    "web_search": "supports_web_search",
    "computer_use": "supports_computer_use",
    "prefill": "supports_assistant_prefill",
}
"""What a script calls it, and what the list does."""
MILLION = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9@][A-Za-z0-9._:@/+-]{0,199}")


class Listed(NamedTuple):
    """One model; prices in US dollars for a million tokens, None = not known; 0 tokens = not known."""

    name: str
    """With its provider in front."""
    provider: str
    mode: str
    context_window: int
    max_output: int
    input_usd: float | None
    output_usd: float | None
    cached_input_usd: float | None
    supports: tuple[str, ...]
    deprecated: str = ""
    """The day from which on it is, or was, taken away: "2026-05-01"."""

    @property
    def price(self) -> str:
        if self.input_usd is None or self.output_usd is None:
            return "unknown"
        return "known" if self.input_usd or self.output_usd else "free"

    def shown(self) -> dict[str, Any]:
        """For scripts: what is not known is left out, and `price` says so of prices."""
        told = {**self._asdict(), "supports": list(self.supports), "price": self.price}
        if self.price == "unknown":
            told["input_usd"] = told["output_usd"] = None
        return {key: value for key, value in told.items() if value not in (None, "", 0) or (key.endswith("_usd") and value == 0)}

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float | None:
        if self.input_usd is None or self.output_usd is None:
            return None
        return (self.input_usd * input_tokens + self.output_usd * output_tokens) / MILLION


class Listing:
    """All models that answer, by name."""

    def __init__(self, load: Callable[[], Mapping[str, Any]]) -> None:
        self._load = load
        self._bare: dict[str, str] = {}
        """Names as the list has them, which may be without the provider."""

    @cached_property
    def models(self) -> Mapping[str, Listed]:
        """In the order of their names."""
        found = dict(_spell_models())
        for name, entry in self._load().items():
            if isinstance(entry, Mapping) and (listed := _listed(str(name), entry)) is not None:
                found.setdefault(listed.name, listed)
                self._bare[str(name)] = listed.name
        return dict(sorted(found.items()))

    @cached_property
    def providers(self) -> list[str]:
        return sorted({model.provider for model in self.models.values()})

    def named(self, name: str) -> Listed:
        """By its name, with or without the provider.  Raises BridgeError `unknown_model`."""
        if name in self.models:
            return self.models[name]
        if name in self._bare:
            return self.models[self._bare[name]]
        if ends := [model for known, model in self.models.items() if known == f"{model.provider}/{name}"]:
            return ends[0]
        close = get_close_matches(name[:200], self.models, n=3, cutoff=0.6)
        hint = "did you mean " + " or ".join(f"'{known}'" for known in close) + "?" if close else "models.list names those that are listed"
        raise BridgeError(f"no model '{name[:80]}' is listed; {hint}", code="unknown_model")

    def chosen(self, provider: str = "", supports: Iterable[str] = (), max_price: float | None = None) -> list[Listed]:
        """In the order of their names.  `max_price`: neither price is above, and both are known."""
        check_needs(wanted := tuple(supports))
        if provider and provider not in self.providers:
            raise BridgeError(
                f"no model of a provider '{provider[:80]}' is listed{nearest(provider, self.providers)}", code="unknown_provider"
            )
        return [
            model
            for model in self.models.values()
            if provider in ("", model.provider)
            and set(wanted) <= set(model.supports)
            and (max_price is None or _is_within(model, max_price))
        ]


def check_needs(needs: Iterable[str]) -> None:
    """Raises ArgumentError naming the nearest."""
    for need in needs:
        if need not in NEEDS:
            raise ArgumentError(f"no model is known to support '{need[:40]}'{nearest(need, list(NEEDS))}")


def _listed(name: str, entry: Mapping[str, Any]) -> Listed | None:
    provider = entry.get("litellm_provider")
    if entry.get("mode") not in ANSWERING_MODES or name == "sample_spec" or not isinstance(provider, str):
        return None
    whole = name if name.startswith(f"{provider}/") else f"{provider}/{name}"
    if not _NAME.fullmatch(whole):
        return None
    return Listed(
        whole,
        provider,
        str(entry["mode"]),
        tokens_of(entry.get("max_input_tokens")),
        tokens_of(entry.get("max_output_tokens")),
        _per_million(entry.get("input_cost_per_token")),
        _per_million(entry.get("output_cost_per_token")),
        _per_million(entry.get("cache_read_input_token_cost")),
        tuple(need for need, key in NEEDS.items() if entry.get(key) is True),
        _day(entry.get("deprecation_date")),
    )


def _per_million(value: Any) -> float | None:
    price = price_of(value)
    return None if price is None else round(price * MILLION, 6)


def _day(value: Any) -> str:
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else ""
    except ValueError:
        return ""


def _spell_models() -> Iterable[tuple[str, Listed]]:
    """They cost nothing."""
    for name in SPELL_MODELS:
        yield name, Listed(name, SPELL_PROVIDER, "chat", 0, 0, 0.0, 0.0, None, ("json",) if name == LOCAL else ())


def _is_within(model: Listed, max_price: float) -> bool:
    return model.input_usd is not None and model.output_usd is not None and max(model.input_usd, model.output_usd) <= max_price
