"""A provider that fails in any way: visible retries, a typed error, the text that came kept and marked incomplete, a ledger without gaps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llmspell_kernel.errors import BridgeError, Interrupted
from llmspell_kernel.journal.events import CallFailed, CallUsage, Logged
from llmspell_kernel.session import Session
from llmspell_kernel.testing.chaos import open_calls, open_cells
from llmspell_kernel.testing.openai_server import OpenAIServer, Reply, events_of

LANGUAGES = ("lua", "javascript")
CHAT = {
    "lua": "kept = 5 local ok, a = pcall(llm.chat, 'hi', {options}) if ok then return {{true, a}} end "
    "return {{false, a.code, a.retryable, a.message}}",
    "javascript": "var kept = 5, got; try {{ got = [true, await llm.chat('hi', {options})] }} "
    "catch (e) {{ got = [false, e.code, e.retryable, e.message] }}; got",
}
STREAM = {
    "lua": """
        local s, text, ok, e = llm.stream('hi', {options}), '', nil, nil
        ok, e = pcall(function() for t in s do text = text .. t end end)
        local u = s:usage()
        return {{text, ok or e.code, s:text(), u.finish_reason, u.estimated or false, u.output_tokens}}""",
    "javascript": """
        const s = await llm.stream('hi', {options}); let text = '', ok = true;
        try {{ for await (const t of s) text += t }} catch (e) {{ ok = e.code }}
        const u = await s.usage();
        [text, ok, await s.text(), u.finishReason ?? u.finish_reason, u.estimated ?? false, u.outputTokens ?? u.output_tokens]""",
}
OPTIONS = {
    "lua": "{{timeout_s = {timeout_s}, retries = {retries}}}",
    "javascript": "{{timeoutS: {timeout_s}, retries: {retries}}}",
}
KEPT = {"lua": "return kept", "javascript": "kept"}
HELLO = events_of(Reply(chunks=["Hel", "lo"]))
NO_EVENT = b"data: {broken\n\n"


def code(template: dict[str, str], engine: str, timeout_s: float = 20, retries: int = 0) -> str:
    return template[engine].format(options=OPTIONS[engine].format(timeout_s=timeout_s, retries=retries))


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, *replies: Reply) -> AsyncIterator[tuple[OpenAIServer, Session]]:
    async with OpenAIServer() as server:
        server.replies.extend(replies)
        for name, value in {"API_BASE": server.address, "API_KEY": "sk-very-secret"}.items():
            monkeypatch.setenv(f"OPENAI_{name}", value)
        monkeypatch.setenv("LLMSPELL_MODEL", "openai/test-model")
        async with Session() as session:
            yield server, session
            assert open_calls(session.recorder) == open_cells(session.recorder) == []
            # each call that reached a provider stands in the ledger, once
            used = [event.call for event in session.recorder if isinstance(event, CallUsage)]
            assert len(used) == len(set(used))


def play(monkeypatch: pytest.MonkeyPatch, engine: str, script: str, *replies: Reply) -> tuple[Any, Session, OpenAIServer]:
    async def run() -> tuple[Any, Session, OpenAIServer]:
        async with serving(monkeypatch, *replies) as (server, session), asyncio.timeout(60):
            outcome = await session.run(script, engine=engine)
            assert outcome.error is None, outcome
            return outcome.value, session, server

    return asyncio.run(run())


@pytest.mark.parametrize("engine", LANGUAGES)
@pytest.mark.parametrize(
    ("reply", "wanted", "retryable"),
    [
        (Reply(status=429, message="slow down", headers={"Retry-After": "3600"}), "rate_limit", True),
        (Reply(status=500, message="boom"), "server_error", True),
        (Reply(status=502, message="<html>bad gateway</html>"), "server_error", True),
        (Reply(status=503, message="busy"), "server_error", True),
        (Reply(status=504, message="late"), "timeout", True),
        (Reply(status=401, message="who?"), "bad_key", False),
        (Reply(status=400, message="odd"), "bad_request", False),
        (Reply(end="mute"), "timeout", True),
        (Reply(end="hang"), "timeout", True),
        (Reply(chunks=["x "] * 400, delay_s=0.02), "timeout", True),
        (Reply(body=[b"<html>a proxy's page</html>"]), "bad_response", True),
        (Reply(body=[b"\n"]), "bad_response", True),
        (Reply(body=[NO_EVENT]), "bad_response", True),
        (Reply(body=[b"data: 7\n\n"]), "bad_response", True),
        (Reply(body=[b'data: {"choices": 5}\n\n']), "bad_response", True),
        (Reply(body=[b"data: [DONE]\n\n"]), "bad_response", True),
        (Reply(body=[b"\xff\xfe\n\n"]), "bad_response", True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_is_typed_and_the_state_is_kept(
    monkeypatch: pytest.MonkeyPatch, engine: str, reply: Reply, wanted: str, retryable: bool
) -> None:
    async def run() -> None:
        async with serving(monkeypatch, Reply(), reply) as (_, session), asyncio.timeout(60):
            await session.run(code(CHAT, engine), engine=engine)  # the import of the client's library is not what times out
            outcome = await session.run(code(CHAT, engine, timeout_s=1), engine=engine)
            ok, got, again, message = outcome.value
            assert (ok, got, again) == (False, wanted, retryable), message
            assert "sk-very-secret" not in message and "litellm" not in message.lower()
            assert (await session.run(KEPT[engine], engine=engine)).value == 5

    asyncio.run(run())


@pytest.mark.parametrize("engine", LANGUAGES)
@pytest.mark.parametrize(
    ("reply", "wanted", "text"),
    [
        (Reply(chunks=["Hel", "lo"], end="cut"), "connection_lost", "Hello"),
        (Reply(chunks=["Hel", "lo"], end="reset"), "connection_lost", "Hello"),
        (Reply(chunks=["Hel", "lo"], end="quiet"), "connection_lost", "Hello"),
        (Reply(chunks=["Hel", "lo"], end="hang"), "timeout", "Hello"),
        (Reply(body=[HELLO[0], NO_EVENT, *HELLO[1:]]), "bad_response", "Hel"),
        (Reply(body=[HELLO[0], b"data: 7\n\n", *HELLO[1:]]), "bad_response", "Hel"),
        (Reply(body=[HELLO[0], b'data: {"id": "x", "choi']), "connection_lost", "Hel"),
        (Reply(body=[HELLO[0], b'data: {"choices": [{"index": 0, "delta": {"content": "\xff"}}]}\n\n']), "bad_response", "Hel"),
        (Reply(body=[HELLO[0], b'data: {"error": {"message": "overloaded", "code": 503}}\n\n']), "server_error", "Hel"),
        (Reply(body=[*HELLO[:2], HELLO[-1]]), "connection_lost", "Hello"),
    ],
    ids=["cut", "reset", "quiet", "silence", "bad JSON", "no object", "half an event", "no UTF-8", "an error", "no finish reason"],
)
def test_what_came_before_the_break_is_kept_marked_incomplete_and_counted(
    monkeypatch: pytest.MonkeyPatch, engine: str, reply: Reply, wanted: str, text: str
) -> None:
    (read, got, kept, finish, estimated, tokens), session, server = play(monkeypatch, engine, code(STREAM, engine, timeout_s=3), reply)
    assert (read, got, kept, finish) == (text, wanted, text, "incomplete")
    assert estimated is True and tokens >= 1
    (usage,) = [event for event in session.recorder if isinstance(event, CallUsage)]
    assert (usage.finish_reason, usage.output_tokens) == ("incomplete", tokens) and usage.input_tokens > 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("engine", LANGUAGES)
@pytest.mark.parametrize(
    "body",
    [
        HELLO[:-1],
        [b"".join(HELLO).replace(b"\n\n", b"\r\n\r\n")],
        [b": keep alive\n\n", *HELLO],
        [b"event: message\nid: 7\nretry: 3\n" + HELLO[0], *HELLO[1:]],
        [b'data: {"id": "x"}\n\n', *HELLO],
        [b'data: {"id": "x", "choices": [{"index": 0, "delta": null}]}\n\n', *HELLO],
    ],
    ids=["no [DONE]", "CRLF", "comments", "other fields", "no choices", "no delta"],
)
def test_what_is_odd_but_harmless_costs_nothing(monkeypatch: pytest.MonkeyPatch, engine: str, body: list[bytes]) -> None:
    (text, ok, *_), _, _ = play(monkeypatch, engine, code(STREAM, engine), Reply(body=body))
    assert (text, ok) == ("Hello", True)


@pytest.mark.parametrize("engine", LANGUAGES)
def test_a_line_of_a_megabyte_is_read_whole(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    (ok, text), _, _ = play(monkeypatch, engine, code(CHAT, engine), Reply(chunks=["x" * 1_000_000]))
    assert ok is True and len(text) == 1_000_000


def test_characters_split_at_every_offset_arrive_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = b"".join(events_of(Reply(chunks=["aß日🎉é"])))
    # within the event that holds the text, where a character can be split; one that splits elsewhere splits ASCII
    start, end = whole.index("aß".encode()) - 2, whole.index("é".encode()) + 4

    async def run() -> None:
        replies = [Reply(body=[whole[:at], whole[at:]], delay_s=0.001) for at in range(start, end)]
        async with serving(monkeypatch, *replies) as (_, session), asyncio.timeout(100):
            for at in range(start, end):
                outcome = await session.run("return llm.chat('hi')", engine="lua")
                assert outcome.value == "aß日🎉é", at

    asyncio.run(run())


@pytest.mark.parametrize("engine", LANGUAGES)
def test_retries_are_seen_waited_for_as_asked_and_counted(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    async def run() -> None:
        refusals = [Reply(status=429, message="slow down", headers={"Retry-After": "0.6"}), Reply(status=503, message="busy")]
        async with serving(monkeypatch, Reply(), *refusals, Reply(chunks=["at last"])) as (server, session), asyncio.timeout(60):
            await session.run(code(CHAT, engine), engine=engine)
            outcome = await session.run(code(CHAT, engine, retries=2), engine=engine)
            assert outcome.value == [True, "at last"]
            assert outcome.duration_s > 0.6 + 1.0
            assert len(server.requests) == 4
            told = outcome.output.stderr
            assert "asking again in 0." in told and "(attempt 2 of 3)" in told and "(attempt 3 of 3)" in told
            logged = [event for event in session.recorder if isinstance(event, Logged)]
            assert [event.fields["code"] for event in logged] == ["rate_limit", "server_error"]
            assert [event.attempts for event in session.recorder if isinstance(event, CallUsage)] == [1, 3]

    asyncio.run(run())


@pytest.mark.parametrize("engine", LANGUAGES)
def test_a_wait_that_is_too_long_is_told_instead_of_waited_for(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    refusal = Reply(status=429, message="slow down", headers={"Retry-After": "3600"})
    (ok, got, _, message), _, server = play(monkeypatch, engine, code(CHAT, engine, retries=5), refusal)
    assert (ok, got) == (False, "rate_limit") and "try again in 3600 s" in message
    assert len(server.requests) == 1


@pytest.mark.parametrize("engine", LANGUAGES)
def test_an_answer_without_end_is_given_up_and_its_connection_closed(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    monkeypatch.setattr("llmspell_kernel.services.llm.generation.MAX_CHARS", 200_000)

    async def run() -> None:
        async with serving(monkeypatch, Reply(chunks=["x" * 1000, "y" * 1000], end="endless")) as (server, session), asyncio.timeout(60):
            outcome = await session.run(code(CHAT, engine), engine=engine)
            assert outcome.value[:3] == [False, "too_large", False]
            await asyncio.wait_for(server.left.wait(), 5)

    asyncio.run(run())


@pytest.mark.parametrize("engine", LANGUAGES)
def test_uncaught_it_is_the_cells_error_with_the_text_so_far_in_the_journal(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    call = {"lua": "llm.chat('hi')", "javascript": "await llm.chat('hi')"}[engine]

    async def run() -> None:
        async with serving(monkeypatch, Reply(chunks=["Hel", "lo"], end="reset")) as (_, session), asyncio.timeout(60):
            outcome = await session.run(call, engine=engine)
            assert isinstance(outcome.error, BridgeError)
            assert (outcome.error.code, outcome.error.retryable) == ("connection_lost", True)
            (failed,) = [event for event in session.recorder if isinstance(event, CallFailed)]
            assert failed.retryable

    asyncio.run(run())


@pytest.mark.parametrize("engine", LANGUAGES)
def test_a_stop_while_it_waits_to_ask_again_is_answered_at_once(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    call = {"lua": "llm.chat('hi')", "javascript": "await llm.chat('hi')"}[engine]

    async def run() -> None:
        refusal = Reply(status=503, message="busy", headers={"Retry-After": "25"})
        async with serving(monkeypatch, Reply(), refusal) as (server, session), asyncio.timeout(60):
            await session.run(call, engine=engine)
            waits = asyncio.Event()
            session.recorder.listen(lambda event: waits.set() if isinstance(event, Logged) else None)
            running = asyncio.ensure_future(session.run(call, engine=engine))
            await waits.wait()
            session.interrupt()
            async with asyncio.timeout(1):
                assert isinstance((await running).error, Interrupted)
            assert len(server.requests) == 2

    asyncio.run(run())
