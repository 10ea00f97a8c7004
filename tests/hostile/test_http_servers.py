"""What a hostile web server can send, and the limit that stops it."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from llmspell_kernel.errors import BridgeError, LimitError, SpellError
from llmspell_kernel.testing.http_server import Received, Send, reply

from ..services.http.worlds import World, world

MiB = 1024 * 1024
BOMB_BYTES = 300 * MiB


def packed(window_bits: int, size: int = BOMB_BYTES) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    block = bytes(MiB)
    return b"".join(packer.compress(block) for _ in range(size // MiB)) + packer.flush()


BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "gzip": ("gzip", lambda: packed(31), "limit"),
    "deflate": ("deflate", lambda: packed(15), "limit"),
    "deflate without a frame": ("deflate", lambda: packed(-15), "limit"),
    "many gzip members": ("gzip", lambda: gzip.compress(bytes(MiB)) * 300, "limit"),
    "empty gzip members": ("gzip", lambda: gzip.compress(b"") * 500_000, "limit"),
    "gzip in gzip": ("gzip, gzip", lambda: gzip.compress(packed(31)), "bad_answer"),
    "gzip in deflate": ("deflate, gzip", lambda: gzip.compress(packed(15)), "bad_answer"),
    "a coding nobody asked for": ("br", lambda: b"\x00" * 100, "bad_answer"),
    "no packing at all": ("gzip", lambda: b"plain text", "bad_answer"),
    "cut off": ("gzip", lambda: gzip.compress(b"x" * 100_000)[:-10], "connection_lost"),
    "many names of codings": (", ".join(["identity"] * 500 + ["gzip"] * 500), lambda: b"x", "bad_answer"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_packed_bomb_ends_in_an_error_and_the_host_does_not_grow(name: str) -> None:
    coding, make, expected = BOMBS[name]
    body = make()

    async def run() -> None:
        async with world() as here:
            here.server.answers["/bomb"] = reply(body, content_encoding=coding)
            await here.call("/warm")
            before = psutil.Process().memory_info().rss
            started = time.monotonic()
            code = await failure(here, "/bomb")
            # what was read until the limit, as a bytearray that doubles
            assert psutil.Process().memory_info().rss - before < 3 * here_limit(here) + len(body)
            assert time.monotonic() - started < 5
            assert code == expected

    asyncio.run(run())


def here_limit(here: World) -> int:
    return here.service._policy().response_bytes


async def failure(here: World, path: str, **options: Any) -> str:
    """The code of the error that a call ends in, "" for an answer."""
    try:
        await here.call(path, **options)
    except SpellError as error:
        return error.code
    return ""


async def endless(received: Received, send: Send) -> None:
    await send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        await send(bytes(65_536))


async def endless_chunks(received: Received, send: Send) -> None:
    await send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await send(b"ffff\r\n" + bytes(65_535) + b"\r\n")


@pytest.mark.parametrize("answer", [endless, endless_chunks])
def test_a_body_without_end_ends_at_the_limit_and_its_connection_is_closed(answer: Any) -> None:
    async def run() -> None:
        async with world() as here:
            here.server.answers["/endless"] = answer
            with pytest.raises(LimitError) as caught:
                await here.call("/endless")
            assert (caught.value.limit, caught.value.value) == ("network.response_bytes", 8 * MiB)
            await asyncio.wait_for(here.server.left.wait(), 5)

    asyncio.run(run())


def test_an_answer_that_tells_its_size_is_refused_before_its_body_is_read() -> None:
    async def head_only(received: Received, send: Send) -> None:
        await send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n")
        await asyncio.Event().wait()

    async def run() -> None:
        async with world() as here:
            here.server.answers["/large"] = head_only
            assert await failure(here, "/large") == "limit"
            here.server.answers["/small"] = reply(b"x" * 101)
            assert await failure(here, "/small", max_bytes=100) == "limit"
            assert await failure(here, "/small", max_bytes=101) == ""
            await asyncio.wait_for(here.server.left.wait(), 5)

    asyncio.run(run())


HEADS = {
    "one long header": (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1_000),
    "many headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 200),
    "preliminary answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 30),
    "no line at all": (b"", b"y" * 1_000),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_without_end_is_an_error(name: str) -> None:
    first, more = HEADS[name]

    async def endless_head(received: Received, send: Send) -> None:
        await send(first)
        while True:
            await send(more * 20)

    async def run() -> None:
        async with world() as here:
            here.server.answers["/head"] = endless_head
            await here.call("/warm")
            before = psutil.Process().memory_info().rss
            started = time.monotonic()
            assert await failure(here, "/head") in ("limit", "bad_answer")
            assert time.monotonic() - started < 5
            assert psutil.Process().memory_info().rss - before < 20 * MiB
            await asyncio.wait_for(here.server.left.wait(), 5)

    asyncio.run(run())


def test_a_head_just_over_the_limit_names_the_limit() -> None:
    async def run() -> None:
        async with world(header_bytes=1_000) as here:
            here.server.answers["/over"] = reply(x="y" * 1_000)
            here.server.answers["/under"] = reply(x="y" * 900)
            with pytest.raises(LimitError) as caught:
                await here.call("/over")
            assert (caught.value.limit, caught.value.value) == ("network.header_bytes", 1_000)
            assert await failure(here, "/under") == ""

    asyncio.run(run())


NONSENSE = {
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "a status that is none": b"HTTP/1.1 9999 What\r\n\r\n",
    "a header that is none": b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk of any size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffffffff\r\n",
    "a framing nobody knows": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nxx",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
    "random bytes": bytes(range(256)) * 10 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_what_is_no_answer_is_one_clear_error(name: str) -> None:
    async def run() -> None:
        async with world() as here:
            here.server.answers["/nonsense"] = NONSENSE[name]
            with pytest.raises(BridgeError) as caught:
                await here.call("/nonsense?key=hidden")
            assert caught.value.code in ("bad_answer", "connection_lost")
            assert caught.value.message.startswith(f"GET {here.url('/nonsense')}: ")
            assert "hidden" not in caught.value.message

    asyncio.run(run())


@pytest.mark.parametrize("part", ["head", "body", "packed body"])
def test_a_drip_ends_at_the_deadline_however_often_a_byte_comes(part: str) -> None:
    async def drip(received: Received, send: Send) -> None:
        start = {"head": b"HTTP/1.1 200 OK\r\nX: ", "body": b"HTTP/1.1 200 OK\r\n\r\n"}.get(part)
        await send(start or b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10])
        while True:
            await send(b"y" if part != "packed body" else b"\x00\x00\x00\xff\xff")
            await asyncio.sleep(0.01)

    async def run() -> None:
        async with world() as here:
            here.server.answers["/drip"] = drip
            started = time.monotonic()
            with pytest.raises(BridgeError) as caught:
                await here.call("/drip", timeout_s=0.3)
            assert (caught.value.code, caught.value.retryable) == ("timeout", True)
            assert 0.25 < time.monotonic() - started < 3
            await asyncio.wait_for(here.server.left.wait(), 5)

    asyncio.run(run())


def test_a_script_that_gives_up_closes_the_connection_and_the_place_is_free_again() -> None:
    async def hang(received: Received, send: Send) -> None:
        await send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        arrived.set()
        await asyncio.Event().wait()

    async def run() -> None:
        async with world(concurrent=1) as here:
            here.server.answers.update({"/hang": hang, "/": reply(b"next")})
            call = asyncio.create_task(here.call("/hang"))
            await asyncio.wait_for(arrived.wait(), 5)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.wait_for(here.server.left.wait(), 5)
            assert (await here.call("/")).body == b"next"

    arrived = asyncio.Event()
    asyncio.run(run())


def test_a_hundred_calls_at_once_are_all_answered_and_never_more_than_eight_are_open() -> None:
    async def slow(received: Received, send: Send) -> None:
        await asyncio.sleep(0.005)
        await send(reply(received.target.encode(), connection="close"))

    async def run() -> None:
        async with world(requests_per_s=10_000.0) as here:
            here.server.answers["*"] = slow
            answers = await asyncio.gather(*(here.call(f"/{number}") for number in range(100)))
            assert [answer.body for answer in answers] == [b"/%d" % number for number in range(100)]
            assert 2 <= here.server.open_most <= 8

    asyncio.run(run())


def test_calls_beyond_the_rate_wait_for_their_turn() -> None:
    async def run() -> None:
        async with world(requests_per_s=20.0) as here:
            here.server.answers["*"] = reply(b"x")
            started = time.monotonic()
            await asyncio.gather(*(here.call("/") for _ in range(30)))
            assert time.monotonic() - started >= 0.45  # twenty at once, then ten more at twenty a second
            waiting = [asyncio.create_task(here.call("/", timeout_s=0.05)) for _ in range(10)]
            codes = [getattr(result, "code", "") for result in await asyncio.gather(*waiting, return_exceptions=True)]
            assert "timeout" in codes

    asyncio.run(run())


def test_cookies_and_headers_that_may_be_keys_do_not_follow_a_redirect_to_another_origin() -> None:
    async def run() -> None:
        async with world() as here:
            here.server.answers["/start"] = reply(status=302, location=here.url("/there", "other.test"), set_cookie="session=abc; Path=/")
            here.server.answers["/there"] = reply(status=302, location=here.url("/back"), set_cookie="mine=1; Domain=site.test; Path=/")
            here.server.answers["/back"] = reply(b"done")
            headers = {"Authorization": "Bearer typed", "X-Api-Key": "typed", "Cookie": "typed=1", "Accept": "text/plain"}
            await here.call("/start", headers=headers)
            start, there, back = here.server.requests
            assert (start.header("authorization"), start.header("x-api-key"), start.header("cookie")) == (
                "Bearer typed",
                "typed",
                "typed=1",
            )
            assert [there.header(name) for name in ("authorization", "x-api-key", "cookie", "accept")] == [None, None, None, "text/plain"]
            assert (back.header("authorization"), back.header("cookie")) == (None, "session=abc")

    asyncio.run(run())


def test_a_secret_goes_to_its_host_alone_and_never_comes_back() -> None:
    async def echo(received: Received, send: Send) -> None:
        told = (received.header("authorization") or "none").encode()
        await send(reply(b"you sent " + told + b" and " + told[7:], x_echo=told.decode(), connection="close"))

    async def run() -> None:
        async with world() as here:
            here.server.answers["/start"] = reply(status=307, location=here.url("/there", "other.test"))
            here.server.answers["*"] = echo
            answer = await here.call("/echo", auth="token")
            assert here.server.requests[0].header("authorization") == "Bearer sk-0123456789abcdef"
            assert (answer.body, answer.headers["x-echo"]) == (
                b"you sent Bearer [secret token] and [secret token]",
                "Bearer [secret token]",
            )
            answer = await here.call("/start", auth="token")
            assert answer.body == b"you sent none and "
            for wrong in ({"host": "other.test", "auth": "token"}, {"auth": "unknown"}):
                assert await failure(here, "/echo", **wrong) == "denied"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X\r\nHost", "evil"),
        ("X", "y\r\nHost: evil"),
        ("X", "y\nZ: z"),
        ("X", "y\rZ: z"),
        ("X", "y\x00z"),
        ("X", "y\u2028z"),
        ("X", "ü"),
        ("X", "\x7f"),
        ("X ", "y"),
        ("X:", "y"),
        ("", "y"),
        (":authority", "evil"),
        ("X\u0130", "y"),
        ("Host", "evil"),
        ("host", "evil"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("Connection", "upgrade"),
        ("Upgrade", "websocket"),
        ("HTTP2-Settings", "x"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Expect", "100-continue"),
        ("Keep-Alive", "x"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Connection", "x"),
        ("Accept-Encoding", "br"),
        ("User-Agent", "curl"),
        ("x" * 129, "y"),
        ("X", "y" * 20_000),
    ],
)
def test_a_header_that_could_change_the_request_is_refused_before_anything_is_sent(name: str, value: str) -> None:
    async def run() -> None:
        async with world() as here:
            assert await failure(here, "/", headers={name: value}) == "header"
            assert here.server.connections == 0

    asyncio.run(run())


def test_too_many_headers_and_the_same_one_twice_are_refused() -> None:
    async def run() -> None:
        async with world() as here:
            assert await failure(here, "/", headers={f"X-{number}": "y" for number in range(65)}) == "header"
            assert await failure(here, "/", headers={"X-A": "1", "x-a": "2"}) == "header"
            assert here.server.connections == 0

    asyncio.run(run())


def test_a_method_cannot_carry_another_request() -> None:
    async def run() -> None:
        async with world() as here:
            for method in ("GET / HTTP/1.1\r\nHost: evil\r\n\r\nGET", "", "CONNECT", "TRACE", "G\x00ET", "get "):
                with pytest.raises(SpellError):
                    await here.call("/", method)
            assert here.server.connections == 0

    asyncio.run(run())


def test_proxies_and_keys_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine site.test login me password stolen\n")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))

    async def run() -> None:
        async with world() as here:
            here.server.answers["/"] = reply(b"direct")
            assert (await here.call("/")).body == b"direct"
            assert here.server.requests[0].target == "/"
            assert here.server.requests[0].header("authorization") is None

    asyncio.run(run())


def test_a_switch_to_another_protocol_gives_the_script_no_raw_connection() -> None:
    async def switch(received: Received, send: Send) -> None:
        await send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\nraw bytes")
        await asyncio.Event().wait()

    async def run() -> None:
        async with world() as here:
            here.server.answers["/"] = switch
            assert await failure(here, "/") == "bad_answer"
            await asyncio.wait_for(here.server.left.wait(), 5)

    asyncio.run(run())
