"""What we take for granted of litellm: fails when a new version breaks bare tool calls, caching or costs.

"Bare" is with the packages that litellm itself declares: some versions need others for tools and caching, and say so only when they are called.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest

from llmspell_kernel.services.llm.catalogue import installed_catalogue, installed_prices
from llmspell_kernel.services.llm.listing import Listing
from llmspell_kernel.services.llm.litellm_library import LitellmLibrary
from llmspell_kernel.services.llm.models import ToolCall
from llmspell_kernel.testing.openai_server import Reply

USED = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
CACHED = {**USED, "prompt_tokens_details": {"cached_tokens": 400}}
TOOLS = [{"name": "add", "description": "Adds", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}]


def fragments(text: str, size: int) -> list[dict[str, Any]]:
    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": ""}}
    return [first, *({"index": 0, "function": {"arguments": text[at : at + size]}} for at in range(0, len(text), size))]


def test_the_packages_are_those_that_a_plain_installation_has() -> None:
    for package in ("litellm-proxy-extras", "litellm-enterprise"):
        with pytest.raises(PackageNotFoundError):
            version(package)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_tool_calls_work_bare_in_fragments_of_any_size(provider: Any, read: Any, size: int) -> None:
    async def run() -> None:
        replies = [Reply(tool_calls=fragments('{"a": 20, "b": [1, "ß"]}', size), finish_reason="tool_calls")]
        async with provider(*replies) as (server, service):
            generation = await read(service, tools=TOOLS, tool_choice="auto")
            assert generation.tool_calls == [ToolCall("c1", "add", {"a": 20, "b": [1, "ß"]})]
            assert generation.finish_reason == "tool_calls"
            assert server.requests[0]["tools"] == [{"type": "function", "function": TOOLS[0]}]

    asyncio.run(run())


def test_answers_to_tools_go_back_as_they_are(provider: Any, read: Any) -> None:
    messages = [
        {"role": "user", "content": "add"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "name": "add", "arguments": {"a": 1}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
    ]

    async def run() -> None:
        async with provider(Reply(chunks=["three"])) as (server, service):
            assert (await read(service, messages, tools=TOOLS)).text == "three"
            sent = server.requests[0]["messages"]
            assert (sent[1]["tool_calls"][0]["function"]["name"], sent[2]) == ("add", messages[2])

    asyncio.run(run())


def test_cached_tokens_are_counted_and_cheaper_by_the_lists_own_price(provider: Any, read: Any) -> None:
    listed = Listing(installed_prices).named("openai/gpt-4o-mini")

    async def run() -> None:
        async with provider(Reply(chunks=["x"], usage=USED), Reply(chunks=["x"], usage=CACHED)) as (_, service):
            full, cached = [(await read(service, model="openai/gpt-4o-mini")).usage for _ in range(2)]
            assert (full.cached_tokens, cached.cached_tokens) == (0, 400)
            assert listed.input_usd and listed.output_usd and listed.cached_input_usd
            assert full.cost_usd == pytest.approx((1000 * listed.input_usd + 100 * listed.output_usd) / 1e6)
            assert cached.cost_usd == pytest.approx(
                (600 * listed.input_usd + 400 * listed.cached_input_usd + 100 * listed.output_usd) / 1e6
            )

    asyncio.run(run())


def test_a_mark_of_what_is_to_be_cached_does_not_fail_a_call(provider: Any, read: Any) -> None:
    part = {"type": "text", "text": "long and always the same", "cache_control": {"type": "ephemeral"}}

    async def run() -> None:
        async with provider(Reply(chunks=["ok"], usage=CACHED)) as (server, service):
            assert (await read(service, [{"role": "user", "content": [part]}])).text == "ok"
            assert server.requests[0]["messages"][0]["content"][0]["text"] == part["text"]

    asyncio.run(run())


@pytest.mark.parametrize("model", ["gpt-4o-mini", "openai/gpt-4o", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"])
def test_costs_are_those_of_the_list_that_is_installed(model: str) -> None:
    listed = Listing(installed_prices).named(model)
    assert listed.input_usd and listed.output_usd

    async def run() -> None:
        litellm = await LitellmLibrary().module()
        cost = sum(litellm.cost_per_token(model=model, prompt_tokens=1_000, completion_tokens=500))
        assert cost == pytest.approx(listed.cost_usd(1_000, 500))

    asyncio.run(run())
    assert installed_catalogue().facts_of(model) is not None
