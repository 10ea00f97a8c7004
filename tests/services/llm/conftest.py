"""What the tests of models share: reading a whole answer, and an environment that points litellm to the loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmspell_kernel.services.llm.generation import Generation
from llmspell_kernel.services.llm.models import ChatOptions
from llmspell_kernel.services.llm.providers import PROVIDERS
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.testing.openai_server import OpenAIServer, Reply

Read = Callable[..., Any]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key or address of the machine that runs the tests may reach them."""
    for provider in PROVIDERS:
        for variable in (*provider.keys, provider.address):
            monkeypatch.delenv(variable, raising=False)
    for variable in ("LLMSPELL_MODEL", "LLMSPELL_SCRIPT", "LLMSPELL_PRELOAD"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def read() -> Read:
    async def read(service: LlmService, prompt: Any = "hi", **options: Any) -> Generation:
        generation = service.generation(prompt, ChatOptions(**options))
        async for _ in generation.texts():
            pass
        return generation

    return read


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`async with provider(Reply(...), ...) as (server, service)`: a service whose default model is served there."""

    @asynccontextmanager
    async def provider(*replies: Reply) -> AsyncIterator[tuple[OpenAIServer, LlmService]]:
        async with OpenAIServer() as server:
            server.replies.extend(replies)
            monkeypatch.setenv("OPENAI_API_BASE", server.address)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
            monkeypatch.setenv("LLMSPELL_MODEL", "openai/test-model")
            yield server, LlmService()

    return provider
