"""`llm.object`: a value that fits a schema, or an error that says why none did."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.errors import ArgumentError, BridgeError
from llmspell_kernel.host_types._crossing import to_plain
from llmspell_kernel.services.llm.local import local_weights
from llmspell_kernel.services.llm.objects import MAX_REPAIRED_BRACKETS, ObjectOptions, ObjectRequest
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.testing.context import FakeContext
from llmspell_kernel.testing.openai_server import OpenAIServer, Reply

CITY = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer"}}, "required": ["city"]}


class Asking(FakeContext):
    """Asks the bridge itself, as a session does."""

    def __init__(self, llm: Llm) -> None:
        super().__init__()
        self._llm = llm

    async def call(self, bridge: str, method: str, *args: Any, **_: Any) -> Any:
        prompt, options = declare(Llm).methods[method].bind([to_plain(arg, "an argument") for arg in args])
        return await self._llm.generate(self, prompt, options)


def asked(*answers: str, schema: dict[str, Any] = CITY, prompt: Any = "A city?", **options: Any) -> tuple[Any, LlmService, FakeContext]:
    service = LlmService({"LLMSPELL_MODEL": "spell/scripted"}, local_installed=False)
    service.scripted.load(answers)
    context = Asking(llm := Llm(service))
    return asyncio.run(llm.object(context, prompt, schema, ObjectOptions(**options))), service, context


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Paris", "people": 2}',
        '```json\n{"city": "Paris", "people": 2}\n```',
        'Here it is: {"city": "Paris", "people": 2}. Anything else?',
        "{'city': 'Paris', 'people': 2,}",
        '{"city": "Paris", /* many */ "people": 2}',
        '{"city": "Paris", "people": 2',
    ],
)
def test_json_that_models_write_is_read(text: str) -> None:
    value, service, context = asked(text)
    assert value == {"city": "Paris", "people": 2}
    assert len(service.scripted.seen) == 1 and context.of("log") == []


def test_a_model_that_takes_no_schema_is_told_it_beside_the_users_own_words() -> None:
    _, service, _ = asked('{"city": "Paris"}', system="Be brief.")
    system, user = service.scripted.seen[0].messages
    assert system["content"].startswith("Be brief.\n\nAnswer with one JSON value") and '"city"' in system["content"]
    assert user == {"role": "user", "content": "A city?"}


def test_the_model_is_shown_what_does_not_fit_and_asked_again() -> None:
    value, service, context = asked('{"people": "many"}', "I cannot", '{"city": "Paris"}')
    assert value == {"city": "Paris"}
    second, third = (request.messages for request in service.scripted.seen[1:])
    assert second[-2] == {"role": "assistant", "content": '{"people": "many"}'}
    assert "- $: 'city' is a required property" in second[-1]["content"] and "- $.people: 'many'" in second[-1]["content"]
    assert "there is no JSON in it" in third[-1]["content"] or "is not of type" in third[-1]["content"]
    assert [fields["attempt"] for _, _, fields in context.of("log")] == [1, 2]
    assert len(context.of("usage")) == 3


def test_the_short_form_of_a_schema_holds_too() -> None:
    value, service, _ = asked("[1, 2]", '{"city": "Rome"}', schema={"city": "string", "people": "integer?"})
    assert value == {"city": "Rome"} and len(service.scripted.seen) == 2


def test_messages_stay_before_the_correction() -> None:
    _, service, _ = asked("no", '{"city": "Rom"}', prompt=[{"role": "user", "content": "A"}, {"role": "user", "content": "B"}])
    assert [message["content"] for message in service.scripted.seen[1].messages][1:4] == ["A", "B", "no"]


def test_after_its_attempts_it_is_an_error_that_says_what_did_not_fit() -> None:
    with pytest.raises(BridgeError, match=r"none of 2 answers fits .*'city' is a required property") as raised:
        asked("{}", "{}", attempts=2)
    assert raised.value.code == "invalid_object" and raised.value.retryable


@pytest.mark.parametrize("text", ['{"' * 5_000, "{" * 200_000, "[" * (MAX_REPAIRED_BRACKETS + 1), "", "words", '"' * 90_000])
def test_what_is_no_json_is_soon_told(text: str) -> None:
    request, started = ObjectRequest(CITY, ObjectOptions()), time.process_time()
    assert request.read(text).problems
    assert time.process_time() - started < 1


def test_a_wrong_schema_or_a_second_form_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ArgumentError, match="no JSON Schema"):
        asked(schema={"minimum": "few"})
    with pytest.raises(ArgumentError, match="no type 'sting'; did you mean 'string'"):
        asked(schema={"type": "sting"})
    with pytest.raises(ArgumentError, match="response_format"):
        asked(response_format="json")


def test_a_listed_model_is_held_to_the_schema_by_its_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> tuple[Any, dict[str, Any]]:
        async with OpenAIServer(Reply(chunks=['{"city": ', '"Paris"}'])) as server:
            monkeypatch.setenv("OPENAI_API_BASE", server.address)
            monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
            service = LlmService(local_installed=False)
            service.set_model("openai/gpt-4o-mini")
            value = await (llm := Llm(service)).object(Asking(llm), "A city?", CITY)
            return value, server.requests[0]

    value, body = asyncio.run(run())
    assert value == {"city": "Paris"}
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": CITY}}
    assert [message["role"] for message in body["messages"]] == ["user"]


@pytest.mark.skipif(local_weights() is None, reason="the local model is not installed: make test has it")
def test_the_local_model_is_held_to_the_schema() -> None:
    async def run() -> Any:
        service = LlmService({"LLMSPELL_MODEL": "spell/local"})
        return await (llm := Llm(service)).object(Asking(llm), "Name a city.", CITY, ObjectOptions(max_tokens=60, attempts=1))

    assert isinstance(asyncio.run(run())["city"], str)
