"""The language models of one session: which are there, which is the default, and the start of every answer."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from .catalogue import Catalogue, installed_catalogue, unknown_model, unknown_provider
from .echo import Echo
from .embeddings import Embedder
from .generation import Generation
from .litellm_library import LitellmLibrary
from .litellm_models import LitellmModel
from .local import Local, cannot_call_tools, local_weights
from .messages import messages_of
from .models import ChatOptions, Model, Request
from .price_list import PriceList
from .providers import (
    LISTS,
    LOCAL,
    LOCAL_ADDRESSES,
    PROVIDERS,
    SPELL_MODELS,
    SPELL_PROVIDER,
    default_model,
    key_hint,
    key_state,
    provider_named,
)
from .retries import next_attempt
from .routing import ROUTER_PREFIX, RoutedCall, RouterOptions, Routers
from .scripted import Scripted
from .token_counts import Count, counted
from .wire import chat_body
from .worst_case import FREE, WorstCase, dearest, worst_case


class LlmService:
    """LLMSPELL_MODEL, LLMSPELL_SCRIPT and LLMSPELL_PRELOAD are read once, here; keys and addresses at each call."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        *,
        local_installed: bool | None = None,
        catalogue: Callable[[], Catalogue] = installed_catalogue,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        installed = local_weights() is not None if local_installed is None else local_installed
        self._environ = environ
        self._clock = clock
        self._load_catalogue = catalogue
        self._loaded: Catalogue | None = None
        self._library = LitellmLibrary()
        self._preload_wanted = environ.get("LLMSPELL_PRELOAD", "1") != "0"
        self._hint = None if environ.get("LLMSPELL_MODEL") else key_hint(environ)
        self._open: dict[str, Model] = {}
        self.prices = PriceList()
        self.embedder = Embedder(self._library, self._catalogue, self.prices, environ)
        self.scripted = Scripted(environ.get("LLMSPELL_SCRIPT", ""))
        self.routers = Routers(self._model_named, self._token_price, clock)
        self._default = default_model(environ, installed)
        self.model = self._default
        """The name used where a call names none."""

    def set_model(self, name: str) -> str:
        """Makes `name` the default from now on.  Raises BridgeError `unknown_model`."""
        self.check(name)
        self.choose(name)
        return name

    def choose(self, name: str) -> None:
        """Makes `name` the default unchecked: a wrong one is an error where it is used.  "" goes back to what the environment says."""
        self.model = name or self._default
        if name:
            self._hint = None
        self.preload()

    @property
    def provider(self) -> str:
        """The provider of the model that is used where a call names none."""
        prefix, _, _ = self.model.partition("/")
        return prefix if prefix in (SPELL_PROVIDER, ROUTER_PREFIX[:-1]) else self._catalogue().provider_of(self.model)

    def set_provider(self, name: str, model: str | None = None) -> str:
        """`set_model` by provider; without a model, its best known or cheapest.  Raises BridgeError `unknown_provider`, `unknown_model`."""
        if model is None:
            known = provider_named(name)
            model = known.example if known else next(iter(self.list_models(name)), None)
        if model is None:
            raise unknown_model(f"{name}/", self._catalogue(), f"no model of {name} is listed; name one")
        self._check_provider(name)
        return self.set_model(model if model.startswith(f"{name}/") else f"{name}/{model}")

    def list_providers(self) -> list[str]:
        return sorted({SPELL_PROVIDER, *self._catalogue().providers})

    def list_models(self, provider: str | None = None) -> list[str]:
        """The listed models of a provider, of the one in use where none is given.  Raises BridgeError `unknown_provider`."""
        name = provider or self.provider
        if name == SPELL_PROVIDER:
            return sorted(SPELL_MODELS)
        self._check_provider(name)
        return self._catalogue().models_of(name)

    def _check_provider(self, name: str) -> None:
        if name not in self.list_providers():
            raise unknown_provider(name, self.list_providers())

    def check(self, name: str) -> None:
        """Raises BridgeError `unknown_model` with the nearest names unless some model answers to `name`.  Imports and asks nothing."""
        if name in SPELL_MODELS:
            return
        if name.startswith("spell/"):
            raise unknown_model(name, Catalogue({}, frozenset()))
        if name.startswith(ROUTER_PREFIX):
            self.routers.named(name)
            return
        self._catalogue().provider_of(name)

    def check_agent(self, name: str, with_tools: bool) -> None:
        """`check`, and BridgeError `unsupported_option` where the model cannot call the agent's tools."""
        self.check(name)
        if with_tools and LOCAL in self.models_behind(name):
            raise cannot_call_tools()

    def preload(self) -> None:
        """Begins litellm's import in a thread if the default model needs it and LLMSPELL_PRELOAD is not 0."""
        ours = (f"{SPELL_PROVIDER}/", ROUTER_PREFIX)  # a router may have no others, and begins the import itself where it has
        if self._preload_wanted and not self.model.startswith(ours):
            self._library.start()

    def take_hint(self) -> str | None:
        """Once a session, and only while nobody chose a model: that a key lies in the environment, and the line that would use it."""
        hint, self._hint = self._hint, None
        return hint

    def generation(self, prompt: str | Sequence[Any], options: ChatOptions | None = None) -> Generation:
        """An answer ready to be read.  Raises ArgumentError and BridgeError `unknown_model` before anything is sent."""
        options = options or ChatOptions()
        name = options.model or self.model
        self.check(name)
        request = Request(name, messages_of(prompt, options.system), options)
        chat_body(options)  # what it refuses is refused before anything is reserved
        model = self._model_named(name)
        return Generation(model, request, self._clock, model.next_attempt if isinstance(model, RoutedCall) else next_attempt)

    def takes_schema(self, model: str | None) -> bool:
        """Can a model, or the one in use, be held to a JSON Schema while it writes?"""
        name = model or self.model
        if name.startswith(ROUTER_PREFIX):
            return all(self.takes_schema(behind) for behind in self.models_behind(name))
        return name == LOCAL if name in SPELL_MODELS else self._catalogue().takes_schema(name)

    def providers(self) -> list[dict[str, Any]]:
        """Which providers have a key; see bridges.llm.  The value of a key is not looked at beyond whether there is one."""
        models = self._catalogue()
        spell = {"name": SPELL_PROVIDER, "key": True, "where": "", "models": len(SPELL_MODELS), "local": True, "address": ""}
        return [spell, *(key_state(provider, self._environ, len(models.models_of(provider.name))) for provider in PROVIDERS)]

    def address_of(self, name: str) -> dict[str, Any]:
        """Raises BridgeError `unknown_provider`."""
        self._check_provider(name)
        known = provider_named(name)
        variable = known.address if known else ""
        set_to = self._environ.get(variable, "").strip() if variable else ""
        return {"name": name, "address": set_to or LOCAL_ADDRESSES.get(name) or LISTS.get(name, ""), "variable": variable}

    def add_router(self, options: RouterOptions) -> str:
        """Raises ArgumentError, BridgeError `unknown_model`."""
        return self.routers.add(options, self.check)

    def models_behind(self, name: str) -> list[str]:
        """The models that may answer to a name: itself, or those of a router."""
        return [route.model for route in self.routers.named(name).all] if name.startswith(ROUTER_PREFIX) else [name]

    def worst_case(self, request: Request) -> WorstCase:
        """What an answer may use at the most; of a router, whichever of its models gives it."""
        if request.model.startswith(ROUTER_PREFIX):
            return dearest(self.worst_case(replace(request, model=model)) for model in self.models_behind(request.model))
        if request.model.startswith(f"{SPELL_PROVIDER}/"):
            return worst_case(request, self.scripted.facts if request.model == "spell/scripted" else FREE, is_priced=True)
        facts = self._catalogue().facts_of(request.model)
        return worst_case(request, facts or FREE, is_priced=facts is not None)

    async def token_count(self, prompt: str | Sequence[Any], name: str) -> Count:
        """How many tokens a prompt has for a model."""
        return await counted(prompt, name, self._library, self._catalogue)

    def _model_named(self, name: str) -> Model:
        if name.startswith(ROUTER_PREFIX):
            return self.routers.call(name)
        if name not in self._open:
            self._open[name] = self._open_model(name)
        return self._open[name]

    def _open_model(self, name: str) -> Model:
        match name:
            case "spell/echo":
                return Echo()
            case "spell/scripted":
                return self.scripted
            case "spell/local":
                return Local()
            case _:
                return LitellmModel(name, self._library, self._catalogue, self._environ)

    def _token_price(self, name: str) -> float:
        facts = FREE if name in SPELL_MODELS else self._catalogue().facts_of(name)
        return math.inf if facts is None else facts.input_usd + facts.output_usd

    def _catalogue(self) -> Catalogue:
        if self._loaded is None:
            self._loaded = self._load_catalogue()
        return self._loaded
