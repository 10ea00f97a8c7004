"""The models `spell/echo` and `spell/scripted`, and what every answer shares."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.errors import BridgeError, ConfigError
from llmspell_kernel.services.llm.generation import Generation
from llmspell_kernel.services.llm.models import AT_ONCE, ChatOptions, Delta, ToolCall, Usage, words_of
from llmspell_kernel.services.llm.scripted import Entry
from llmspell_kernel.services.llm.service import LlmService


def service(**environ: str) -> LlmService:
    return LlmService({"LLMSPELL_MODEL": "spell/scripted", **environ}, local_installed=False)


@pytest.mark.parametrize("text", ["", "one", "two words", "  led  by\tspace\n", "é 日本 🎉\n\n"])
def test_word_chunks_join_to_the_same_text(text: str) -> None:
    assert "".join(words_of(text)) == text


def test_the_echo_says_the_last_user_text_word_by_word() -> None:
    async def run() -> list[str]:
        generation = service().generation(
            [{"role": "user", "content": "first"}, {"role": "user", "content": "good day"}], ChatOptions("spell/echo")
        )
        texts = [text async for text in generation.texts()]
        assert (generation.finish_reason, generation.usage) == ("stop", Usage(3, 3, 0, 0.0))
        return texts

    assert asyncio.run(run()) == ["echo: ", "good ", "day"]


def test_the_echo_heeds_max_tokens(read: Any) -> None:
    generation = asyncio.run(read(service(), "a b c", model="spell/echo", max_tokens=2))
    assert (generation.text, generation.finish_reason) == ("echo: a ", "length")


def test_scripted_answers_come_in_order_with_their_chunks_calls_and_usage(read: Any) -> None:
    spell = service()
    spell.scripted.load(
        [
            "plain text",
            {"chunks": ["a", "b"], "usage": {"input_tokens": 5, "output_tokens": 2, "cost_usd": 0.25}},
            {"tool_calls": [{"name": "add", "arguments": {"a": 1}}]},
            Entry(text="last", finish_reason="content_filter"),
        ]
    )
    answers = [asyncio.run(read(spell)) for _ in range(4)]
    assert [answer.text for answer in answers] == ["plain text", "ab", "", "last"]
    assert answers[1].usage == Usage(5, 2, 0, 0.25)
    assert answers[2].tool_calls == [ToolCall("call_3_1", "add", {"a": 1})]
    assert [answer.finish_reason for answer in answers] == ["stop", "stop", "tool_calls", "content_filter"]
    assert len(spell.scripted.seen) == 4


def test_an_entry_with_match_waits_for_its_prompt(read: Any) -> None:
    spell = service()
    spell.scripted.load([{"text": "tea!", "match": "tea"}, "anything"])
    assert [asyncio.run(read(spell, prompt)).text for prompt in ("coffee?", "some tea?")] == ["anything", "tea!"]


def test_a_scripted_error_comes_after_its_chunks_and_keeps_its_fields(read: Any) -> None:
    spell = service()
    spell.scripted.load([{"text": "half an", "error": {"code": "rate_limit", "message": "slow down", "retryable": True}}])

    async def run() -> None:
        generation = spell.generation("x")
        with pytest.raises(BridgeError, match="slow down") as caught:
            async for _ in generation.texts():
                pass
        assert (caught.value.code, caught.value.retryable) == ("rate_limit", True)
        assert (generation.text, generation.finish_reason) == ("half an", "incomplete")
        assert generation.usage.output_tokens == 2

    asyncio.run(run())


def test_a_used_up_script_says_so_and_how_to_add_to_it(read: Any) -> None:
    with pytest.raises(BridgeError, match="used up .*LLMSPELL_SCRIPT") as caught:
        asyncio.run(read(service()))
    assert caught.value.code == "script_exhausted"


def test_a_script_with_only_other_matches_names_them(read: Any) -> None:
    spell = service()
    spell.scripted.load([{"text": "x", "match": "tea"}])
    with pytest.raises(BridgeError, match="waiting for: 'tea'"):
        asyncio.run(read(spell, "coffee"))


def test_the_script_file_is_read_once(tmp_path: Path, read: Any) -> None:
    file = tmp_path / "script.json"
    file.write_text(json.dumps([{"text": "one"}, {"text": "two"}]))
    spell = service(LLMSPELL_SCRIPT=str(file))
    assert [asyncio.run(read(spell)).text for _ in range(2)] == ["one", "two"]


@pytest.mark.parametrize("content", [None, "no json", '[{"txt": "a"}]', '{"text": "a"}', "\xff"])
def test_a_wrong_script_file_is_an_error_that_names_the_variable_and_no_folder(tmp_path: Path, read: Any, content: str | None) -> None:
    file = tmp_path / "script.json"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match="LLMSPELL_SCRIPT") as caught:
        asyncio.run(read(service(LLMSPELL_SCRIPT=str(file))))
    assert str(tmp_path) not in caught.value.message


def test_a_wrong_entry_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(ConfigError, match="txt"):
        service().scripted.load([{"txt": "a"}])


def test_timeout_s_ends_an_answer_that_drips(read: Any) -> None:
    spell = service()
    spell.scripted.load([{"text": "drip " * 1000, "delay_s": 0.01}])
    with pytest.raises(BridgeError, match="within 0.1 s") as caught:
        asyncio.run(read(spell, timeout_s=0.1))
    assert (caught.value.code, caught.value.retryable) == ("timeout", True)


def test_time_the_reader_takes_does_not_count_for_the_timeout() -> None:
    now = [0.0]
    spell = LlmService({"LLMSPELL_MODEL": "spell/echo"}, local_installed=False, clock=lambda: now[0])

    async def run() -> str:
        generation = spell.generation("a b c", ChatOptions(timeout_s=1))
        async for _ in generation.texts():
            now[0] += 100
        return generation.text

    assert asyncio.run(run()) == "echo: a b c"


def test_leaving_an_answer_ends_the_models_work() -> None:
    spell = service()
    ended: list[str] = []

    class Watched:
        async def prepare(self) -> None: ...

        def turn(self) -> AbstractAsyncContextManager[None]:
            return AT_ONCE

        async def stream(self, request: Any) -> Any:
            try:
                async for delta in spell.scripted.stream(request):
                    yield delta
            finally:
                ended.append("closed")

    spell.scripted.load(["a b c"])
    spell._open["spell/scripted"] = Watched()  # type: ignore[assignment]

    async def run() -> None:
        async with aclosing(spell.generation("x").texts()) as texts:
            await anext(texts)

    asyncio.run(run())
    assert ended == ["closed"]


def test_the_wait_for_a_turn_is_no_latency_and_does_not_count_for_the_timeout() -> None:
    now = [0.0]
    spell = LlmService({"LLMSPELL_MODEL": "spell/scripted"}, local_installed=False, clock=lambda: now[0])

    class OneAfterTheOther:
        def __init__(self) -> None:
            self._turn = asyncio.Lock()

        async def prepare(self) -> None: ...

        def turn(self) -> AbstractAsyncContextManager[None]:
            return self._turn

        async def stream(self, request: Any) -> Any:
            assert self._turn.locked()
            await asyncio.sleep(0)
            now[0] += 10
            yield Delta(text="done", finish_reason="stop")

    spell._open["spell/scripted"] = OneAfterTheOther()

    async def ask() -> Generation:
        generation = spell.generation("x", ChatOptions(timeout_s=15))
        assert [text async for text in generation.texts()] == ["done"]
        return generation

    async def run() -> list[Generation]:
        return await asyncio.gather(*(ask() for _ in range(5)))

    assert [(answer.latency_s, answer.waited_s) for answer in asyncio.run(run())] == [(10, 10)] * 5
    assert now == [50]


def test_set_model_checks_the_name_and_forgets_the_hint() -> None:
    spell = LlmService({"OPENAI_API_KEY": "sk-1", "LLMSPELL_PRELOAD": "0"}, local_installed=False)
    with pytest.raises(BridgeError, match="did you mean 'spell/echo'"):
        spell.set_model("spell/eco")
    assert spell.model == "spell/echo"
    assert spell.set_model("openai/gpt-4o-mini") == spell.model == "openai/gpt-4o-mini"
    assert spell.take_hint() is None


def test_the_hint_is_given_once_and_not_where_a_model_was_set() -> None:
    spell = LlmService({"OPENAI_API_KEY": "sk-1"}, local_installed=False)
    assert "OPENAI_API_KEY" in (spell.take_hint() or "")
    assert spell.take_hint() is None
    assert LlmService({"OPENAI_API_KEY": "sk-1", "LLMSPELL_MODEL": "spell/echo"}, local_installed=False).take_hint() is None


NO_NETWORK = """
import asyncio, sys

def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"):
        raise SystemExit(f"{event}{args[1:]}")

sys.addaudithook(refuse)
from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.testing.context import FakeBridgeSession, FakeContext

async def main():
    for name in sys.argv[1:]:
        service = LlmService({"LLMSPELL_MODEL": name, "OPENAI_API_KEY": "sk-1"})
        service.scripted.load(["scripted"])
        bridge = Llm(service)
        await bridge.open(FakeBridgeSession())
        print(await bridge.complete(FakeContext(), "hello", 4))
    print([name for name in ("litellm", "openai", "httpx", "requests") if name in sys.modules])

asyncio.run(main())
"""


def test_spell_models_open_no_connection_and_import_no_litellm() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK, "spell/echo", "spell/scripted"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.splitlines(), done.stderr) == (["echo: hello", "scripted", "[]"], "")
