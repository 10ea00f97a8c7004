"""Which model names exist, read from litellm's own price list without importing litellm (about 20 ms instead of 3.6 s)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from llmspell_kernel.errors import NEAREST_CHARS, BridgeError, ConfigError, nearest

from .numbers import price_of, tokens_of
from .providers import PROVIDERS, SPELL_MODELS
from .worst_case import ModelFacts

PRICES_FILE = "model_prices_and_context_window_backup.json"
PROVIDERS_FILE = "provider_endpoints_support_backup.json"
ANSWERING_MODES = ("chat", "completion", "responses")
_NAME = re.compile(r"[A-Za-z0-9@][A-Za-z0-9._:@/+-]*")
# Accepted by litellm 1.101 and absent from its file: servers of one's own, which have no prices.
UNLISTED_PROVIDERS = frozenset({"meta", "tencent", "inception", "modelscope", "langflow", "vertex_ai_beta", "gdc", "nano-gpt", "parasail"})


class Catalogue:
    """Names and providers.  `models` maps litellm's own name of each answering model to its provider, `facts` those that have a price."""

    def __init__(
        self,
        models: Mapping[str, str],
        providers: frozenset[str],
        facts: Mapping[str, ModelFacts] = MappingProxyType({}),
        schema_takers: frozenset[str] = frozenset(),
    ) -> None:
        self.models = models
        self._facts = facts
        self._schema_takers = schema_takers
        self.providers = providers | UNLISTED_PROVIDERS

    def provider_of(self, name: str) -> str:
        """The provider that answers to this name.  Raises BridgeError `unknown_model` with the nearest names.

        A name with a known provider in front is accepted even when it is not listed: new models appear before price lists do, and
        servers of one's own have any names.  It can hold no URL and leave no path, as it becomes part of the address that is asked.
        """
        prefix, slash, rest = name.partition("/")
        if slash and prefix in self.providers and _NAME.fullmatch(rest) and ".." not in rest and "//" not in rest:
            return prefix
        if name in self.models:
            return self.models[name]
        raise unknown_model(name, self)

    def facts_of(self, name: str) -> ModelFacts | None:
        """The prices of a model, None where they are not known; a name may have its provider in front, where the list has none."""
        return self._facts.get(name) or self._facts.get(self._bare(name))

    def takes_schema(self, name: str) -> bool:
        """Can the model be held to a JSON Schema (`response_format`)?  False where that is not known."""
        return name in self._schema_takers or self._bare(name) in self._schema_takers

    def _bare(self, name: str) -> str:
        """Without the provider in front, where the list has it so."""
        prefix, _, rest = name.partition("/")
        return rest if self.models.get(rest) == prefix else name

    @cached_property
    def names(self) -> list[str]:
        """The names a user would write: with the provider in front, and bare where litellm lists them so."""
        written = set(SPELL_MODELS) | {provider.example for provider in PROVIDERS}
        for name, provider in self.models.items():
            written.add(name)
            if not name.startswith(f"{provider}/"):
                written.add(f"{provider}/{name}")
        return sorted(written)

    def models_of(self, provider: str) -> list[str]:
        """The listed models of a provider, with the provider in front."""
        names = {name if name.startswith(f"{provider}/") else f"{provider}/{name}" for name, of in self.models.items() if of == provider}
        return sorted(names | {known.example for known in PROVIDERS if known.name == provider})

    def nearest(self, name: str) -> list[str]:
        """At most three names like this one, those of the same provider first."""
        name = name[:NEAREST_CHARS]
        prefix, slash, _ = name.partition("/")
        same = [known for known in self.names if slash and known.startswith(f"{prefix}/")]
        return get_close_matches(name, same, n=3, cutoff=0.7) or get_close_matches(name, self.names, n=3, cutoff=0.6)


def unknown_model(name: str, catalogue: Catalogue, said: str = "") -> BridgeError:
    """The one error for a name no model answers to; `said` is what the provider said about it."""
    close = catalogue.nearest(name)
    if close:
        hint = "did you mean " + " or ".join(f"'{known}'" for known in close) + "?"
    else:
        hint = f"known are {', '.join(SPELL_MODELS)} and names with a provider in front, such as {PROVIDERS[0].example}"
    reason = f" ({said})" if said else ""
    return BridgeError(f"unknown model '{name[:NEAREST_CHARS]}'{reason}; {hint}", code="unknown_model")


def unknown_provider(name: str, known: Sequence[str]) -> BridgeError:
    return BridgeError(f"unknown provider '{name}'{nearest(name, known)}", code="unknown_provider")


def installed_prices() -> dict[str, dict[str, Any]]:
    """litellm's list of models, as it is installed.  Raises ConfigError."""
    file = _litellm_folder() / PRICES_FILE
    try:
        content = file.read_bytes()
        try:
            found = msgspec.json.decode(content)
        except msgspec.DecodeError:
            found = json.loads(content)  # takes NaN and Infinity, which are no JSON, and yet written by some
        if not isinstance(found, dict):
            raise ValueError("no object")
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"litellm's list of models ({PRICES_FILE}) cannot be read; install litellm again") from error
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)}


def installed_catalogue() -> Catalogue:
    """The catalogue of the litellm that is installed."""
    prices = installed_prices()
    providers = msgspec.json.decode((_litellm_folder() / PROVIDERS_FILE).read_bytes(), type=dict[str, Any])["providers"]
    models = {
        name: str(entry.get("litellm_provider", ""))
        for name, entry in prices.items()
        if entry.get("mode") in ANSWERING_MODES and name != "sample_spec"  # which describes the others
    }
    facts = {name: found for name in models if (found := _facts(prices[name])) is not None}
    schema_takers = frozenset(name for name in models if prices[name].get("supports_response_schema") is True)
    return Catalogue(models, frozenset(providers), facts, schema_takers)


def _facts(entry: Mapping[str, Any]) -> ModelFacts | None:
    """None for a model that is not priced by tokens alone: what it costs cannot be told before."""
    if price_of(entry.get("input_cost_per_token")) is None or price_of(entry.get("output_cost_per_token")) is None:
        return None
    return ModelFacts(
        _highest(entry, "input_cost_per_token", "cache_creation_input_token_cost"),
        _highest(entry, "output_cost_per_token", "output_cost_per_reasoning_token"),
        _highest(entry, "input_cost_per_request"),
        tokens_of(entry.get("max_input_tokens")),
        tokens_of(entry.get("max_output_tokens") or entry.get("max_tokens")),
    )


def _highest(entry: Mapping[str, Any], *keys: str) -> float:
    """Of the prices under a key, and under the same key for long prompts (`..._above_200k_tokens`)."""
    tiers = [price_of(value) for key, value in entry.items() if key in keys or any(key.startswith(f"{of}_above_") for of in keys)]
    return max((price for price in tiers if price is not None), default=0.0)


def _litellm_folder() -> Path:
    """Where it is installed.  Raises ConfigError."""
    spec = find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("litellm is not installed; models outside spell/ need it: pip install 'litellm>=1.95,<1.102'")
    return Path(spec.submodule_search_locations[0])
