"""What a number of tokens costs, by litellm's own price list, which is read without importing litellm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from .catalogue import PRICES_FILE, Catalogue, _litellm_folder
from .providers import SPELL_PROVIDER

_TIER = re.compile(r"_above_([0-9]{1,6})k_tokens")


class Cost(NamedTuple):
    """In US dollars; nothing is `known` of a model whose price is not listed."""

    input_usd: float
    output_usd: float
    known: bool


FREE = Cost(0.0, 0.0, True)
UNKNOWN = Cost(0.0, 0.0, False)


class PriceList:
    """`entry` has what litellm lists of a model, chat or embedding; a name may have its provider in front where the list has none."""

    @cached_property
    def _listed(self) -> Mapping[str, Mapping[str, Any]]:
        text = (_litellm_folder() / PRICES_FILE).read_bytes()
        listed: dict[str, dict[str, Any]] = msgspec.json.decode(text, type=dict[str, dict[str, Any]])
        listed.pop("sample_spec", None)
        return listed

    def entry(self, name: str) -> Mapping[str, Any] | None:
        found = self._listed.get(name)
        if found is not None:
            return found
        prefix, _, rest = name.partition("/")
        bare = self._listed.get(rest)
        return bare if bare is not None and bare.get("litellm_provider") == prefix else None

    def cost(self, name: str, input_tokens: int, output_tokens: int) -> Cost:
        """By the prices for that many tokens: those of long prompts are dearer."""
        if name.startswith(f"{SPELL_PROVIDER}/"):
            return FREE
        entry = self.entry(name)
        if entry is None or not isinstance(entry.get("input_cost_per_token"), (int, float)):
            return UNKNOWN
        input_usd, output_usd = (_price(entry, f"{side}_cost_per_token", input_tokens) for side in ("input", "output"))
        if input_usd is None or output_usd is None:
            return UNKNOWN
        return Cost(round(input_usd * input_tokens, 12), round(output_usd * output_tokens, 12), True)

    def embedding_provider(self, name: str, catalogue: Catalogue) -> str:
        """Who answers to the name of a model that makes vectors.  Raises BridgeError `unknown_model`."""
        entry = self.entry(name)
        if entry is not None and entry.get("mode") == "embedding" and "/" not in name:
            return str(entry.get("litellm_provider", ""))
        return catalogue.provider_of(name)


def _price(entry: Mapping[str, Any], key: str, input_tokens: int) -> float | None:
    """Of a token: that of the highest tier which the prompt is beyond."""
    tiers = {
        int(tier[1]) * 1000: value
        for name, value in entry.items()
        if name.startswith(f"{key}_above_") and isinstance(value, (int, float)) and (tier := _TIER.fullmatch(name.removeprefix(key)))
    }
    beyond = [at for at in tiers if input_tokens > at]
    found = tiers[max(beyond)] if beyond else entry.get(key)
    return float(found) if isinstance(found, (int, float)) else None
