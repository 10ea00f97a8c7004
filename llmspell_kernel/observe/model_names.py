"""The provider in a model's name, as the GenAI conventions call it.  Pure."""

from __future__ import annotations

from collections.abc import Mapping

UNKNOWN = "unknown"
_PROVIDERS: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""Those that the conventions name otherwise than litellm does; all others are called the same, or by litellm's name alone."""


def provider_and_model(name: str) -> tuple[str, str]:
    """`openai/gpt-4o` is `gpt-4o` of `openai`; of a name without a provider, the event does not say whose it is."""
    provider, slash, model = name.partition("/")
    if not slash:
        return UNKNOWN, name
    return _PROVIDERS.get(provider, provider), model
