"""What an environment says about models: the default model, keys that lie there, keys that are missing.  Pure functions over a mapping.

A key found in the environment is never used unasked: it makes a hint, not a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

ECHO, SCRIPTED, LOCAL = "spell/echo", "spell/scripted", "spell/local"
SPELL_MODELS = (ECHO, SCRIPTED, LOCAL)
SPELL_PROVIDER = "spell"


class Provider(NamedTuple):
    """`keys`: any one of these variables suffices.  `address` is the variable that moves the provider elsewhere, "" where there is none."""

    name: str
    keys: tuple[str, ...]
    example: str
    address: str = ""


# In the order in which a hint prefers them.  Variables as litellm 1.101 reads them.
PROVIDERS = (
    Provider("openai", ("OPENAI_API_KEY",), "openai/gpt-4o-mini", "OPENAI_API_BASE"),
    Provider("anthropic", ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"), "anthropic/claude-haiku-4-5", "ANTHROPIC_API_BASE"),
    Provider("gemini", ("GEMINI_API_KEY", "GOOGLE_API_KEY"), "gemini/gemini-2.5-flash", "GEMINI_API_BASE"),
    Provider("mistral", ("MISTRAL_API_KEY",), "mistral/mistral-small-latest", "MISTRAL_API_BASE"),
    Provider("groq", ("GROQ_API_KEY",), "groq/llama-3.1-8b-instant", "GROQ_API_BASE"),
    Provider("deepseek", ("DEEPSEEK_API_KEY",), "deepseek/deepseek-chat", "DEEPSEEK_API_BASE"),
    Provider("xai", ("XAI_API_KEY",), "xai/grok-3-mini", "XAI_API_BASE"),
    Provider("cohere", ("COHERE_API_KEY", "CO_API_KEY"), "cohere/command-r-08-2024", "COHERE_API_BASE"),
    Provider("openrouter", ("OPENROUTER_API_KEY", "OR_API_KEY"), "openrouter/openai/gpt-4o-mini", "OPENROUTER_API_BASE"),
    Provider("ollama_chat", (), "ollama_chat/llama3.2", "OLLAMA_API_BASE"),
    Provider("ollama", (), "ollama/llama3.2", "OLLAMA_API_BASE"),
)

LOCAL_ADDRESSES = {"ollama_chat": "http://127.0.0.1:11434", "ollama": "http://127.0.0.1:11434"}
"""Where providers that run on one's own machine are, unless their variable says otherwise."""
LISTS = {
    "openai": "https://api.openai.com/v1",
    "mistral": "https://api.mistral.ai/v1",
    "groq": "https://api.groq.com/openai/v1",
    "deepseek": "https://api.deepseek.com",
    "xai": "https://api.x.ai/v1",
    "openrouter": "https://openrouter.ai/api/v1",
}
"""Where hosted providers list their models in OpenAI's form."""


def provider_named(name: str) -> Provider | None:
    return next((provider for provider in PROVIDERS if provider.name == name), None)


def default_model(environ: Mapping[str, str], local_installed: bool) -> str:
    """LLMSPELL_MODEL, else the local model where it is installed, else the echo."""
    return environ.get("LLMSPELL_MODEL", "").strip() or (LOCAL if local_installed else ECHO)


def key_hint(environ: Mapping[str, str]) -> str | None:
    """One sentence naming a key that lies in the environment and the line that would use it; None without a key."""
    for provider in PROVIDERS:
        for variable in provider.keys:
            if environ.get(variable):
                return f'{variable} is set but not used unless you ask: llm.set_model("{provider.example}")'
    return None


def key_state(provider: Provider, environ: Mapping[str, str], models: int) -> dict[str, Any]:
    """Whether its key is there and in which variable; nothing of its value."""
    found = next((variable for variable in provider.keys if environ.get(variable)), "")
    return {
        "name": provider.name,
        "key": bool(found) or not provider.keys,
        "where": found or next(iter(provider.keys), ""),
        "models": models,
        "local": provider.name in LOCAL_ADDRESSES,
        "address": provider.address,
    }


def missing_keys(provider: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables of which one must be set for this provider and none is; () when nothing is known to be missing."""
    known = provider_named(provider)
    if known is None or any(environ.get(variable) for variable in known.keys):
        return ()
    return known.keys
