"""What to ask a server of models, and what its answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmspell_kernel.errors import BridgeError
from llmspell_kernel.services.llm.discovery import MOST_MODELS, Asked, models_in, to_ask

OLLAMA = Asked("http://host/api/tags", "ollama", "ollama_chat")
OPENAI = Asked("http://host/v1/models", "openai", "openai")


@pytest.mark.parametrize(
    ("address", "provider", "urls"),
    [
        ("http://127.0.0.1:11434", "ollama", ["http://127.0.0.1:11434/api/tags"]),
        ("http://127.0.0.1:11434/", "ollama_chat", ["http://127.0.0.1:11434/api/tags"]),
        ("https://api.openai.com/v1", "openai", ["https://api.openai.com/v1/models"]),
        ("http://host:8000/v1/", "", ["http://host:8000/v1/models"]),
        ("host:8000", "", ["http://host:8000/api/tags", "http://host:8000/v1/models"]),
    ],
)
def test_a_provider_is_asked_in_its_own_form_and_an_address_in_each(address: str, provider: str, urls: list[str]) -> None:
    assert [asked.url for asked in to_ask(address, provider)] == urls


def test_the_names_of_an_ollama_server_are_those_that_calls_take() -> None:
    details = {"family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"}
    answer = {"models": [{"name": "llama3.2:latest", "model": "llama3.2:latest", "size": 2_019_393_189, "details": details}]}
    assert models_in(json.dumps(answer), OLLAMA) == (
        [
            {
                **{"name": "ollama_chat/llama3.2:latest", "id": "llama3.2:latest", "size_bytes": 2_019_393_189},
                **{"family": "llama", "parameters": "3.2B", "quantization": "Q4_K_M"},
            }
        ],
        0,
    )


def test_the_names_of_a_server_that_speaks_openais_api_too() -> None:
    answer = {"object": "list", "data": [{"id": "Qwen/Qwen3-8B", "owned_by": "vllm"}, {"id": "Qwen/Qwen3-8B"}, {"id": "b"}]}
    models, left_out = models_in(json.dumps(answer), OPENAI)
    assert models == [{"name": "openai/Qwen/Qwen3-8B", "id": "Qwen/Qwen3-8B", "owner": "vllm"}, {"name": "openai/b", "id": "b"}]
    assert left_out == 1


@pytest.mark.parametrize(
    "text",
    ["", "<html>", "[]", "7", "null", "{}", '{"data": {}}', '{"data": "x"}', '{"models": []}', "[" * 100_000, '{"data": NaN}', '"\\ud800"'],
)
def test_what_is_no_list_of_models_is_told(text: str) -> None:
    with pytest.raises(BridgeError, match="not with a list of models") as caught:
        models_in(text, OPENAI)
    assert caught.value.code == "bad_answer"


HOSTILE: list[Any] = [
    *("a b", "a\nb", "a\x1b[31mred", "a\u202eb", "../../etc/passwd", "a//b", "", "x" * 300, "http://elsewhere/", "<b>", "ä", "a\x00b"),
    *(7, None, [], {}, True),
]


@pytest.mark.parametrize("id", HOSTILE, ids=lambda id: ascii(id)[:16])
@pytest.mark.parametrize("asked", [OLLAMA, OPENAI], ids=["ollama", "openai"])
def test_names_that_no_call_could_take_are_left_out_and_counted(id: Any, asked: Asked) -> None:
    entry = {"name": id, "model": id, "id": id}
    answer = {"models" if asked is OLLAMA else "data": [entry, {"id": "good", "name": "good"}, "none"]}
    models, left_out = models_in(json.dumps(answer), asked)
    assert ([model["id"] for model in models], left_out) == (["good"], 2)


def test_details_that_make_no_sense_are_left_out() -> None:
    details = {"family": "a\x1b[2J", "parameter_size": ["7B"], "quantization_level": "x" * 100}
    (model,), _ = models_in(json.dumps({"models": [{"name": "a", "size": 2**70, "details": details}]}), OLLAMA)
    assert model == {"name": "ollama_chat/a", "id": "a"}
    (model,), _ = models_in(json.dumps({"models": [{"name": "a", "size": -1, "details": 7}]}), OLLAMA)
    assert model == {"name": "ollama_chat/a", "id": "a"}


def test_of_a_list_without_end_so_many_are_read_and_the_others_counted() -> None:
    answer = {"data": [{"id": f"m{number}"} for number in range(MOST_MODELS + 100)]}
    models, left_out = models_in(json.dumps(answer), OPENAI)
    assert (len(models), left_out) == (MOST_MODELS, 100)
