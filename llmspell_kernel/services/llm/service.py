"""The language models of one session: which are there, which is the default, and the start of every answer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .catalogue import Catalogue, installed_catalogue, unknown_model, unknown_provider
from .echo import Echo
from .embeddings import Embedder
from .generation import Generation
from .litellm_library import LitellmLibrary
from .litellm_models import LitellmModel
from .local import Local, local_weights
from .messages import messages_of
from .models import ChatOptions, Model, Request
from .price_list import PriceList
from .providers import LOCAL, SPELL_MODELS, SPELL_PROVIDER, default_model, key_hint, provider_named
from .scripted import Scripted
from .token_counts import Count, counted
from .wire import chat_body
from .worst_case import FREE, WorstCase, worst_case


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
        return prefix if prefix == SPELL_PROVIDER else self._catalogue().provider_of(self.model)

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
        self._catalogue().provider_of(name)

    def preload(self) -> None:
        """Begins litellm's import in a thread if the default model needs it and LLMSPELL_PRELOAD is not 0."""
        if self._preload_wanted and self.model not in SPELL_MODELS:
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
        return Generation(self._model_named(name), request, self._clock)

    def takes_schema(self, model: str | None) -> bool:
        """Can a model, or the one in use, be held to a JSON Schema while it writes?"""
        name = model or self.model
        return name == LOCAL if name in SPELL_MODELS else self._catalogue().takes_schema(name)

    def worst_case(self, request: Request) -> WorstCase:
        """What an answer may use at the most."""
        if request.model.startswith(f"{SPELL_PROVIDER}/"):
            return worst_case(request, self.scripted.facts if request.model == "spell/scripted" else FREE, is_priced=True)
        facts = self._catalogue().facts_of(request.model)
        return worst_case(request, facts or FREE, is_priced=facts is not None)

    async def token_count(self, prompt: str | Sequence[Any], name: str) -> Count:
        """How many tokens a prompt has for a model."""
        return await counted(prompt, name, self._library, self._catalogue)

    def _model_named(self, name: str) -> Model:
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

    def _catalogue(self) -> Catalogue:
        if self._loaded is None:
            self._loaded = self._load_catalogue()
        return self._loaded
