"""A provider on the wire, called from scripts of every language: what it refuses, tools in fragments, tokens and costs, a call that is stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.errors import Interrupted
from llmspell_kernel.journal.events import CallChunk, CallUsage
from llmspell_kernel.testing.openai_server import Reply

from .test_provider import CHAT, LANGUAGES, code, play, serving

TOOLS = {
    "lua": """
        local g = llm.generate('add', { tools = { { name = 'add', parameters = { type = 'object' } } } })
        local c = g.tool_calls[1]
        return { c.id, c.name, c.arguments.a, c.arguments.list, g.finish_reason, g.tool_calls[2].arguments }""",
    "javascript": """
        const g = await llm.generate('add', { tools: [{ name: 'add', parameters: { type: 'object' } }] });
        const c = (g.toolCalls ?? g.tool_calls)[0];
        [c.id, c.name, c.arguments.a, c.arguments.list, g.finishReason ?? g.finish_reason, (g.toolCalls ?? g.tool_calls)[1].arguments]""",
}
COST = {
    "lua": "local g = llm.generate('hi', {model = 'openai/gpt-4o-mini'}) "
    "return {g.usage.input_tokens, g.usage.output_tokens, g.usage.cached_tokens, g.cost_usd}",
    "javascript": "const g = await llm.generate('hi', {model: 'openai/gpt-4o-mini'}); const u = g.usage; "
    "[u.input_tokens ?? u.inputTokens, u.output_tokens ?? u.outputTokens, u.cached_tokens ?? u.cachedTokens, g.cost_usd ?? g.costUsd]",
}
ASK = {"lua": "llm.chat('hi')", "javascript": "await llm.chat('hi')"}
READ = {
    "lua": "for piece in llm.stream('hi') do end",
    "javascript": "for await (const piece of await llm.stream('hi')) {}",
}


@pytest.mark.parametrize("engine", LANGUAGES)
@pytest.mark.parametrize(
    ("reply", "wanted", "words"),
    [
        (Reply(status=404, message="no such model", error_code="model_not_found"), "unknown_model", "no such model"),
        (
            Reply(status=400, message="This model's maximum context length is 10 tokens", error_code="context_length_exceeded"),
            "context_length",
            "too long",
        ),
        (Reply(status=403, message="not yours"), "forbidden", "does not let this key use"),
        (Reply(status=503, message="overloaded"), "server_error", "overloaded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_provider_refuses_is_told_by_its_own_code(
    monkeypatch: pytest.MonkeyPatch, engine: str, reply: Reply, wanted: str, words: str
) -> None:
    (ok, got, _, message), _, server = play(monkeypatch, engine, code(CHAT, engine), reply)
    assert (ok, got) == (False, wanted) and words in message
    assert "sk-very-secret" not in message and len(server.requests) == 1


@pytest.mark.parametrize("engine", LANGUAGES)
def test_tool_calls_in_fragments_arrive_whole_and_malformed_ones_as_their_text(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    whole = '{"a": 2, "list": [1, "ß"]}'
    calls: list[dict[str, Any]] = [{"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": ""}}]
    calls += [{"index": 0, "function": {"arguments": letter}} for letter in whole]
    calls += [{"index": 1, "id": "c2", "type": "function", "function": {"name": "sub", "arguments": "{broken"}}]
    value, _, _ = play(monkeypatch, engine, TOOLS[engine], Reply(tool_calls=calls, finish_reason="tool_calls"))
    assert value == ["c1", "add", 2, [1, "ß"], "tool_calls", "{broken"]


@pytest.mark.parametrize("engine", LANGUAGES)
def test_cached_tokens_and_the_cost_are_the_scripts_and_the_ledgers(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    used = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "prompt_tokens_details": {"cached_tokens": 400}}
    value, session, _ = play(monkeypatch, engine, COST[engine], Reply(chunks=["x"], usage=used))
    assert value == [1000, 100, 400, pytest.approx(600 * 0.15e-6 + 400 * 0.075e-6 + 100 * 0.6e-6)]
    (event,) = [event for event in session.recorder if isinstance(event, CallUsage)]
    assert [event.input_tokens, event.output_tokens, event.cached_tokens, event.cost_usd] == value


@pytest.mark.parametrize("engine", LANGUAGES)
@pytest.mark.parametrize("call", [ASK, READ], ids=["chat", "stream"])
def test_a_script_that_is_stopped_closes_the_connection_to_its_provider(
    monkeypatch: pytest.MonkeyPatch, engine: str, call: dict[str, str]
) -> None:
    async def run() -> None:
        async with serving(monkeypatch, Reply(chunks=["Hel", "lo"], end="hang")) as (server, session), asyncio.timeout(60):
            came = asyncio.Event()
            session.recorder.listen(lambda event: came.set() if isinstance(event, CallChunk) else None)
            running = asyncio.ensure_future(session.run(call[engine], engine=engine))
            await came.wait()
            assert not server.left.is_set()
            session.interrupt()
            assert isinstance((await running).error, Interrupted)
            await asyncio.wait_for(server.left.wait(), 5)
            (used,) = [event for event in session.recorder if isinstance(event, CallUsage)]
            assert used.finish_reason == "incomplete" and used.output_tokens > 0

    asyncio.run(run())
