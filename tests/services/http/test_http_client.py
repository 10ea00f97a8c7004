"""The HTTP client: what is sent, what comes back, and how each failure is told."""

from __future__ import annotations

import asyncio
import gzip
import logging
import zlib
from typing import Any

import pytest

from llmspell_kernel.errors import ArgumentError, BridgeError, ConfigError, DeniedError, LimitError, SpellError
from llmspell_kernel.services.http.options import Auth, RequestOptions
from llmspell_kernel.testing.http_server import Received, Send, reply

from .worlds import world


def test_a_request_is_sent_with_what_http_needs_and_nothing_of_the_host_s() -> None:
    async def run() -> None:
        async with world() as here:
            await here.call("/path", query={"q": "a b&c", "n": [1, 2.5, True]}, headers={"X-Own": " mine "})
            [request] = here.server.requests
            assert (request.method, request.target) == ("GET", "/path?q=a+b%26c&n=1&n=2.5&n=true")
            assert dict(request.headers) == {
                "host": f"site.test:{here.server.port}",
                "user-agent": "llmspell",
                "accept": "*/*",
                "accept-encoding": "gzip, deflate",
                "x-own": "mine",
            }

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "body", "kind"),
    [
        ({"json": {"a": [1, None, "ü"]}}, '{"a":[1,null,"ü"]}'.encode(), "application/json"),
        ({"form": {"a": "x y", "b": ["1", "2"]}}, b"a=x+y&b=1&b=2", "application/x-www-form-urlencoded"),
        ({"body": "ü".encode()}, "ü".encode(), "text/plain; charset=utf-8"),
        ({"body": b"\xff\x00"}, b"\xff\x00", "application/octet-stream"),
        ({"body": b"x", "headers": {"Content-Type": "text/csv"}}, b"x", "text/csv"),
        ({}, b"", None),
    ],
)
def test_a_body_is_sent_whole_with_its_type(options: dict[str, Any], body: bytes, kind: str | None) -> None:
    async def run() -> None:
        async with world() as here:
            for method in ("POST", "PUT", "PATCH"):
                await here.call("/", method, **options)
                request = here.server.requests[-1]
                assert (request.method, request.body, request.header("content-type")) == (method, body, kind)
                assert request.header("content-length") == str(len(body))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"json": 1, "body": b"x"}, "leave out all but one of json, body"),
        ({"json": {"a": [b"x"]}}, "json.a[0] is bytes"),
        ({"json": [float("nan")]}, "json[0] is a number that is not finite"),
        ({"json": {"a": object()}}, "json.a is a function or a thing that the host keeps"),
        ({"form": {"a": "\ud800"}}, "form holds a lone surrogate"),
        ({"query": {"a": "\ud800"}}, "query holds a lone surrogate"),
        ({"json": "\ud800"}, "json holds a text or a number"),
    ],
)
def test_a_body_that_cannot_be_sent_is_one_clear_error(options: dict[str, Any], told: str) -> None:
    async def run() -> None:
        async with world() as here:
            with pytest.raises(ArgumentError) as caught:
                await here.call("/", "POST", **options)
            assert told in caught.value.message
            assert here.server.connections == 0

    asyncio.run(run())


def test_a_body_over_the_limit_is_not_sent_and_a_get_has_none() -> None:
    async def run() -> None:
        async with world(request_bytes=100) as here:
            await here.call("/", "POST", body=b"x" * 100)
            with pytest.raises(LimitError) as caught:
                await here.call("/", "POST", body=b"x" * 101)
            assert (caught.value.limit, caught.value.value, caught.value.used) == ("network.request_bytes", 100, 101)
            for method in ("GET", "HEAD"):
                with pytest.raises(ArgumentError):
                    await here.call("/", method, body=b"x")
            assert len(here.server.requests) == 1

    asyncio.run(run())


def test_an_answer_is_told_with_its_headers_by_lower_case_name_and_without_cookies() -> None:
    async def run() -> None:
        async with world() as here:
            here.server.answers["/"] = (
                b"HTTP/1.1 404 Gone\r\nX-A: 1\r\nx-a: 2\r\nSet-Cookie: a=b\r\nX-U: \xc3\xbc\r\nX-L: \xfc\r\nContent-Length: 2\r\n\r\nhi"
            )
            answer = await here.call("/")
            assert (answer.status, answer.body, answer.hops) == (404, b"hi", 0)
            assert answer.headers == {"x-a": "1, 2", "x-u": "ü", "x-l": "ü", "content-length": "2"}

    asyncio.run(run())


def bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


BODY = b"text \xff" * 50_000


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY[:1000]) + gzip.compress(BODY[1000:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", bare_deflate(BODY)),
        ("identity", BODY),
        ("", BODY),
        ("identity, gzip", gzip.compress(BODY)),
    ],
)
def test_every_packing_that_was_asked_for_is_unpacked_whatever_the_pieces(coding: str, body: bytes) -> None:
    async def piecewise(received: Received, send: Send) -> None:
        await send(f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for start in range(0, len(body), 1 + len(body) // 100):
            await send(body[start : start + 1 + len(body) // 100])

    async def run() -> None:
        async with world() as here:
            here.server.answers["/"] = piecewise
            assert (await here.call("/")).body == BODY

    asyncio.run(run())


@pytest.mark.parametrize("status", [200, 204, 304])
def test_an_answer_without_a_body_is_whole_whatever_its_head_promises(status: int) -> None:
    async def run() -> None:
        async with world() as here:
            method = "HEAD" if status == 200 else "GET"
            here.server.answers["/"] = f"HTTP/1.1 {status} X\r\nContent-Encoding: gzip\r\nContent-Length: 99999999999\r\n\r\n".encode()
            assert (await here.call("/", method)).body == b""

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "method", "then", "keeps_body"),
    [
        (301, "POST", "GET", False),
        (302, "POST", "GET", False),
        (303, "POST", "GET", False),
        (303, "PUT", "GET", False),
        (301, "PUT", "PUT", True),
        (307, "POST", "POST", True),
        (308, "PATCH", "PATCH", True),
        (303, "HEAD", "HEAD", False),
        (302, "HEAD", "HEAD", False),
    ],
)
def test_a_redirect_keeps_or_changes_the_method_as_http_says(status: int, method: str, then: str, keeps_body: bool) -> None:
    async def run() -> None:
        async with world() as here:
            here.server.answers["/start"] = reply(status=status, location="/end?x")
            here.server.answers["/end"] = reply(b"" if method == "HEAD" else b"end")
            answer = await here.call("/start", method, **({} if method == "HEAD" else {"json": {"a": 1}}))
            last = here.server.requests[-1]
            assert (last.method, last.target, last.body) == (then, "/end?x", b'{"a":1}' if keeps_body else b"")
            assert (last.header("content-type") is not None) == keeps_body
            assert (answer.url.text, answer.hops) == (here.url("/end?x"), 1)

    asyncio.run(run())


def test_a_call_may_follow_fewer_redirects_and_none() -> None:
    async def run() -> None:
        async with world(redirects=2) as here:
            here.server.answers.update({"/1": reply(status=302, location="/2"), "/2": reply(status=302, location="/3"), "/3": reply(b"3")})
            assert (await here.call("/1")).body == b"3"
            assert (await here.call("/1", redirects=20)).hops == 2
            answer = await here.call("/1", redirects=0)
            assert (answer.status, answer.headers["location"]) == (302, "/2")
            with pytest.raises(LimitError) as caught:
                await here.call("/1", redirects=1)
            assert (caught.value.limit, caught.value.value, caught.value.used) == ("network.redirects", 1, 2)

    asyncio.run(run())


def test_a_status_of_redirection_without_a_place_is_an_answer() -> None:
    async def run() -> None:
        async with world() as here:
            here.server.answers["/"] = reply(b"stay", 302)
            assert (await here.call("/")).body == b"stay"
            here.server.answers["/"] = reply(b"cached", 300, location="/other")
            assert (await here.call("/")).status == 300

    asyncio.run(run())


def test_cookies_go_back_to_their_origin_and_path_and_can_be_forgotten() -> None:
    clock = [1_000_000.0]

    async def run() -> None:
        async with world(now=lambda: clock[0]) as here:
            cookies = (
                "a=1; Path=/",
                "deep=2; Path=/deep",
                "soon=3; Max-Age=10; Path=/",
                "gone=4; Max-Age=0",
                "old=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            )
            head = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in cookies)
            here.server.answers["/set"] = f"HTTP/1.1 200 OK\r\n{head}Content-Length: 0\r\n\r\n".encode()
            await here.call("/set")

            async def sent(path: str, host: str = "site.test") -> str | None:
                await here.call(path, host=host)
                return here.server.requests[-1].header("cookie")

            assert await sent("/x") == "a=1; soon=3"
            assert await sent("/deep/er?q") == "deep=2; a=1; soon=3"
            assert await sent("/deeper") == "a=1; soon=3"
            assert await sent("/x", "other.test") is None
            clock[0] += 11
            assert await sent("/x") == "a=1"
            here.service.cookies.clear()
            assert await sent("/x") is None

    asyncio.run(run())


def refused_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_every_failure_names_what_failed_and_never_the_query() -> None:
    async def run() -> None:
        port = refused_port()
        async with world(allow_private=(f"127.0.0.1:{port}",)) as here:
            for url, code, retryable, told in (
                (
                    f"http://127.0.0.1:{port}/a?key=hidden",
                    "unreachable",
                    True,
                    f"GET http://127.0.0.1:{port}/a: the server cannot be reached: ",
                ),
                ("http://nowhere.example/a?key=hidden", "no_such_host", False, "the host nowhere.example was not found"),
            ):
                with pytest.raises(BridgeError) as caught:
                    await here.service.call("GET", url, RequestOptions())
                assert (caught.value.code, caught.value.retryable) == (code, retryable)
                assert caught.value.message.startswith(told)
                assert "hidden" not in caught.value.message

    asyncio.run(run())


@pytest.mark.parametrize(
    "cut",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ],
)
def test_a_connection_that_ends_early_is_worth_trying_again(cut: bytes) -> None:
    async def half(received: Received, send: Send) -> None:
        if cut:
            await send(cut)

    async def run() -> None:
        async with world() as here:
            here.server.answers["/"] = half
            with pytest.raises(BridgeError) as caught:
                await here.call("/?key=hidden")
            assert (caught.value.code, caught.value.retryable) == ("connection_lost", True)
            assert "hidden" not in caught.value.message

    asyncio.run(run())


def test_an_address_that_refuses_is_passed_over_for_the_next() -> None:
    async def run() -> None:
        async with world() as here:
            here.server.answers["/"] = reply(b"there")

            async def several(host: str, port: int) -> list[str]:
                return ["127.0.0.2", "127.0.0.3", "127.0.0.1"]

            here.service._resolve = several
            assert (await here.call("/")).body == b"there"

    asyncio.run(run())


def test_a_look_up_that_hangs_ends_at_the_time_for_connecting() -> None:
    async def run() -> None:
        async with world(connect_s=0.1) as here:

            async def hang(host: str, port: int) -> list[str]:
                await asyncio.Event().wait()
                return []

            here.service._resolve = hang
            with pytest.raises(BridgeError) as caught:
                await here.call("/")
            assert (caught.value.code, caught.value.retryable) == ("timeout", True)
            assert caught.value.message == "site.test could not be reached within 0.1 s"

    asyncio.run(run())


def test_a_secret_is_sent_as_the_call_says() -> None:
    async def run() -> None:
        async with world() as here:
            sent = []
            for auth in ("token", Auth("token", "X-Api-Key", ""), Auth("token", scheme="Token"), Auth("token", scheme="Basic")):
                await here.call("/", auth=auth)
                request = here.server.requests[-1]
                sent.append(request.header("authorization") or request.header("x-api-key"))
            value = "sk-0123456789abcdef"
            assert sent == [f"Bearer {value}", value, f"Token {value}", "Basic c2stMDEyMzQ1Njc4OWFiY2RlZg=="]

    asyncio.run(run())


def test_a_secret_is_never_sent_in_the_open() -> None:
    async def run() -> None:
        async with world() as here:
            with pytest.raises(DeniedError) as caught:
                await here.service.call("GET", "http://public.example/", RequestOptions(auth="token"))
            assert "by https only" in caught.value.message

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"auth": Auth("token", "Host")}, "header"),
        ({"auth": Auth("token", "X\r\nY")}, "header"),
        ({"auth": Auth("token", scheme="Bearer\r\nX:")}, "header"),
        ({"auth": "token", "headers": {"Authorization": "x"}}, "argument"),
    ],
)
def test_a_secret_cannot_be_used_to_write_other_headers(options: dict[str, Any], code: str) -> None:
    async def run() -> None:
        async with world() as here:
            with pytest.raises(SpellError) as caught:
                await here.call("/", **options)
            assert caught.value.code == code and here.server.connections == 0

    asyncio.run(run())


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "ü"])
def test_a_secret_that_no_header_can_hold_is_named_and_not_told(value: str) -> None:
    async def run() -> None:
        async with world() as here:
            here.service._secret = lambda *asked: value
            with pytest.raises(ConfigError) as caught:
                await here.call("/", auth="token")
            assert caught.value.key == "secrets.token" and (not value.strip() or value not in caught.value.message)

    asyncio.run(run())


def test_no_log_holds_a_query_or_a_header(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def run() -> None:
        async with world() as here:
            await here.call("/?key=hidden", auth="token")

    asyncio.run(run())
    assert "hidden" not in caplog.text and "sk-0123" not in caplog.text


def test_a_stream_gives_pieces_as_they_come_and_closing_ends_the_connection() -> None:
    async def run() -> None:
        go_on = asyncio.Event()

        async def slowly(received: Received, send: Send) -> None:
            await send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            await go_on.wait()
            await send(b"6\r\nsecond\r\n")
            await asyncio.Event().wait()

        async with world(concurrent=1) as here:
            here.server.answers.update({"/slow": slowly, "/": reply(b"next")})
            stream = await here.service.open("GET", here.url("/slow"), RequestOptions(timeout_s=5.0))
            assert (stream.status, await stream.next()) == (200, b"first")
            go_on.set()
            assert await stream.next() == b"second"
            await stream.close()
            await stream.close()
            assert await stream.next() is None
            await asyncio.wait_for(here.server.left.wait(), 5)
            assert (await here.call("/")).body == b"next"

    asyncio.run(run())


def test_several_may_wait_for_a_stream_and_closing_it_wakes_them_all() -> None:
    async def run() -> None:
        go_on = asyncio.Event()

        async def two(received: Received, send: Send) -> None:
            await send(b"HTTP/1.1 200 OK\r\n\r\n")
            await go_on.wait()
            await send(b"one")
            await asyncio.Event().wait()

        async with world() as here:
            here.server.answers["/"] = two
            stream = await here.service.open("GET", here.url("/"), RequestOptions())
            waiting = [asyncio.create_task(stream.next()) for _ in range(3)]
            go_on.set()
            done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert [task.result() for task in done] == [b"one"]
            await stream.close()
            assert await asyncio.wait_for(asyncio.gather(*rest), 5) == [None, None]

    asyncio.run(run())


def test_a_stream_is_held_to_the_same_limits() -> None:
    async def run() -> None:
        async with world() as here:
            here.server.answers["/"] = reply(b"x" * 101)

            async def hang(received: Received, send: Send) -> None:
                await send(b"HTTP/1.1 200 OK\r\n\r\nx")
                await asyncio.Event().wait()

            here.server.answers["/hang"] = hang
            stream = await here.service.open("GET", here.url("/"), RequestOptions(max_bytes=100))
            with pytest.raises(LimitError):
                await stream.next()
            await stream.close()
            stream = await here.service.open("GET", here.url("/hang"), RequestOptions(timeout_s=0.2))
            assert await stream.next() == b"x"
            with pytest.raises(BridgeError) as caught:
                await stream.next()
            assert caught.value.code == "timeout"
            await stream.close()

    asyncio.run(run())


def test_a_stream_takes_a_secret_out_also_where_it_is_cut_in_two() -> None:
    async def halves(received: Received, send: Send) -> None:
        await send(b"HTTP/1.1 200 OK\r\n\r\nyour key: sk-01234")
        await asyncio.sleep(0.02)
        await send(b"56789abcdef, sk-")

    async def run() -> None:
        async with world() as here:
            here.server.answers["/"] = halves
            stream = await here.service.open("GET", here.url("/"), RequestOptions(auth="token"))
            pieces = []
            while (piece := await stream.next()) is not None:
                pieces.append(piece)
            await stream.close()
            assert b"".join(pieces) == b"your key: [secret token], sk-"

    asyncio.run(run())


def test_closing_the_service_closes_its_connections() -> None:
    async def run() -> None:
        async with world() as here:
            here.server.answers["/"] = reply(b"x")
            await here.call("/")
            await here.service.close()
            await here.service.close()
            assert (await here.call("/")).body == b"x"  # a new client
            assert here.server.connections == 2

    asyncio.run(run())
