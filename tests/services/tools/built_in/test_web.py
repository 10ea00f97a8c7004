"""The tools `web_fetch` and `http_request`: through the bridge `http` of a session, to a server of this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llmspell_kernel.errors import BridgeError, DeniedError, LimitError
from llmspell_kernel.services.tools.built_in import page_text
from llmspell_kernel.session import Session
from llmspell_kernel.testing.http_server import HttpServer, reply

from .using import session_with_tools, use_in

PARAGRAPHS = "".join(
    f"<p>In year {year} the garden was larger than before, and many people came to see its roses and its old trees.</p>"
    for year in range(5)
)
ARTICLE = f"""<!doctype html><html><head><title> The  garden </title><style>p {{}}</style></head><body>
<nav><a href="/">Home</a> <a href="/about">About</a></nav>
<article><h1>The garden</h1>{PARAGRAPHS}</article>
<script>steal()</script></body></html>"""


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[tuple[Session, HttpServer]]:
    async with HttpServer() as server:
        network = {"allow_private": (server.authority,)}
        async with session_with_tools(folder, network=network) as session:
            yield session, server


def test_a_page_is_given_as_its_title_and_readable_text(tmp_path: Path) -> None:
    async def play() -> None:
        async with site(tmp_path) as (session, server):
            server.answers["/"] = reply(ARTICLE.encode(), content_type="text/html; charset=utf-8")
            found = await use_in(session, "web_fetch", url=f"{server.address}/")
            assert (found["url"], found["title"], found["truncated"]) == (f"{server.address}/", "The garden", False)
            assert "In year 4 the garden was larger" in found["text"]
            assert "steal" not in found["text"] and "<" not in found["text"] and "About" not in found["text"]
            short = await use_in(session, "web_fetch", url=f"{server.address}/", max_chars=20)
            assert len(short["text"]) == 20 and short["truncated"]

    asyncio.run(play())


def test_a_page_with_little_on_it_is_given_whole(tmp_path: Path) -> None:
    async def play() -> None:
        async with site(tmp_path) as (session, server):
            server.answers["/"] = reply(b"<html><body><div>Hi <b>there</b></div></body></html>", content_type="text/html")
            assert "there" in (await use_in(session, "web_fetch", url=f"{server.address}/"))["text"]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("kind", "body"), [("text/plain", "a <b> c"), ("application/json", '{"a": 1}'), ("application/ld+json", "[]"), ("text/csv", "a,b")]
)
def test_text_and_json_are_given_as_they_are(kind: str, body: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with site(tmp_path) as (session, server):
            server.answers["/"] = reply(body.encode(), content_type=kind)
            found = await use_in(session, "web_fetch", url=f"{server.address}/")
            assert found == {"url": f"{server.address}/", "title": "", "text": body, "truncated": False}

    asyncio.run(play())


def test_what_is_no_text_and_what_was_not_found_are_errors(tmp_path: Path) -> None:
    async def play() -> None:
        async with site(tmp_path) as (session, server):
            server.answers["/picture"] = reply(b"\x89PNG", content_type="image/png")
            for path, code in (("/picture", "not_text"), ("/nowhere", "http_status")):
                with pytest.raises(BridgeError) as caught:
                    await use_in(session, "web_fetch", url=f"{server.address}{path}")
                assert caught.value.code == code

    asyncio.run(play())


def test_a_request_is_sent_as_it_says_and_any_status_is_an_answer(tmp_path: Path) -> None:
    async def play() -> None:
        async with site(tmp_path) as (session, server):
            server.answers["/items"] = reply(b'{"id": 7}', 201, content_type="application/json")
            made = await use_in(
                session, "http_request", method="PUT", url=f"{server.address}/items", json={"name": "pen"}, headers={"x-shop": "1"}
            )
            assert (made["status"], made["body"], made["headers"]["content-type"]) == (201, '{"id": 7}', "application/json")
            received = server.requests[0]
            assert (received.method, json.loads(received.body), received.header("x-shop")) == ("PUT", {"name": "pen"}, "1")
            assert (await use_in(session, "http_request", url=f"{server.address}/nowhere"))["status"] == 404
            cut = await use_in(session, "http_request", url=f"{server.address}/items", max_chars=5)
            assert (cut["body"], cut["truncated"]) == ('{"id"', True)

    asyncio.run(play())


def test_a_host_that_the_policy_does_not_allow_is_not_reached(tmp_path: Path) -> None:
    async def play() -> None:
        async with HttpServer() as server, session_with_tools(tmp_path) as session:
            for name in ("web_fetch", "http_request"):
                with pytest.raises(DeniedError):
                    await use_in(session, name, url=f"{server.address}/")
            assert server.requests == []

    asyncio.run(play())


def test_a_denied_bridge_is_denied_to_the_tool(tmp_path: Path) -> None:
    async def play() -> None:
        async with HttpServer() as server, session_with_tools(tmp_path, deny=("http.*",)) as session:
            with pytest.raises(DeniedError):
                await use_in(session, "web_fetch", url=f"{server.address}/")

    asyncio.run(play())


def test_a_replay_fetches_nothing_and_gives_the_same(tmp_path: Path) -> None:
    async def play() -> None:
        cassette = tmp_path / "x.cassette.jsonl"
        async with site(tmp_path) as (session, server):
            server.answers["/"] = reply(ARTICLE.encode(), content_type="text/html")
            session.tape("record", cassette)
            first = await use_in(session, "web_fetch", url=f"{server.address}/")
            session.end_taping()
            session.tape("replay", cassette)
            assert await use_in(session, "web_fetch", url=f"{server.address}/") == first
            assert len(server.requests) == 1

    asyncio.run(play())


def test_a_page_that_takes_too_long_is_given_up_and_its_process_ended() -> None:
    page = "<p>a</p>" * 200_000
    with pytest.raises(LimitError) as caught:
        asyncio.run(page_text.readable(page, 100, time_s=0.05))
    assert caught.value.limit == "page_seconds"


def test_a_page_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(LimitError) as caught:
        asyncio.run(page_text.readable("x" * (page_text.MAX_CHARS + 1), 100))
    assert caught.value.limit == "page_chars"
