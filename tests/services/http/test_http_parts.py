"""The parts of the HTTP service, each alone: text, packing, secrets, cookies, names, pace."""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import threading
import zlib
from typing import Any

import pytest

from llmspell_kernel.errors import BridgeError, ValueCrossingError
from llmspell_kernel.services.http.cookies import LONGEST, MOST_COOKIES, MOST_ORIGINS, CookieJar
from llmspell_kernel.services.http.pace import Pace
from llmspell_kernel.services.http.resolver import MOST, SystemResolver
from llmspell_kernel.services.http.scrubbing import Scrubber
from llmspell_kernel.services.http.text import charset_of, json_of, text_of
from llmspell_kernel.services.http.unpacking import PIECE, unpacker

NO_CHARSETS = ("punycode", "idna", "zip", "base64", "rot13", "unicode_escape", "utf-7", "../../x", "mbcs")
ORIGIN = ("https", "site.test", 443)


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("", "utf-8-sig"),
        ("text/html", "utf-8-sig"),
        ("text/html; charset=UTF-8", "utf-8-sig"),
        ("text/html; charset=us-ascii", "utf-8-sig"),
        ('text/html; charset="windows-1252"', "cp1252"),
        ("text/html;charset=ISO-8859-15", "iso8859-15"),
        ("text/html; charset=Shift_JIS", "shift_jis"),
        ("text/html; charset=utf-16le", "utf-16-le"),
        ("text/html; charset=iso-8859-99", "utf-8-sig"),
        *(
            (f"text/html; charset={name}", "utf-8-sig")
            for name in ("punycode", "idna", "zip", "base64", "rot13", "unicode_escape", "utf-7", "../../x", "mbcs")
        ),
    ],
)
def test_a_charset_is_one_that_the_web_uses(content_type: str, charset: str) -> None:
    assert charset_of(content_type) == charset


def test_text_that_is_malformed_is_text_all_the_same() -> None:
    assert text_of(b"\xef\xbb\xbfa\xffb\x00", "") == "a\ufffdb\x00"
    assert text_of(b"\xd8\x00", "text/plain; charset=utf-16be") == "\ufffd"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "bad_answer"),
        (b"{", "bad_answer"),
        (b"NaN", "bad_answer"),
        (b"[" * 100_000, "bad_answer"),
        (b'{"a":1}x', "bad_answer"),
        (b'"\xff"', ""),
    ],
)
def test_a_json_document_that_is_none_is_an_error(body: bytes, told: str) -> None:
    if not told:
        assert json_of(body, "", "x") == "\ufffd"
        return
    with pytest.raises(BridgeError) as caught:
        json_of(body, "", "https://site.test/x")
    assert caught.value.code == told and caught.value.message.startswith("https://site.test/x did not answer with JSON: ")


@pytest.mark.parametrize("item", [b"[],", b'{"a":1},'])
def test_a_json_document_that_would_take_too_much_memory_is_refused_before_it_is_read(item: bytes) -> None:
    with pytest.raises(ValueCrossingError, match="x answered with JSON of too many objects"):
        json_of(b"[" + item * (6_000_000 // len(item)) + b"1]", "", "x")


def test_a_json_document_of_a_hundred_thousand_rows_is_read() -> None:
    rows = b",".join(b'{"id":%d,"name":"row %d","value":%d.5}' % (number, number, number) for number in range(100_000))
    assert len(json_of(b"[" + rows + b"]", "", "x")) == 100_000


@pytest.mark.parametrize("seed", range(20))
def test_what_was_packed_comes_out_whole_in_bounded_pieces_however_it_was_cut(seed: int) -> None:
    choose = random.Random(seed)
    body = b"".join(choose.randbytes(choose.randrange(50)) * choose.randrange(5_000) for _ in range(10))
    coding = choose.choice(["gzip", "deflate"])
    packed = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
    unpack, found, at = unpacker(coding), bytearray(), 0
    while at < len(packed):
        size = choose.randrange(1, 5_000)
        for piece in unpack.feed(packed[at : at + size]):
            assert len(piece) <= PIECE
            found += piece
        at += size
    unpack.end()
    assert found == body


@pytest.mark.parametrize("seed", range(50))
def test_a_secret_is_taken_out_wherever_the_text_is_cut_and_nothing_else_is(seed: int) -> None:
    choose = random.Random(seed)
    value, other = b"aab", b"aabab"
    text = b"".join(choose.choice([value, other, b"a", b"ab", b"b", b"-"]) for _ in range(40))
    scrubber, found, at = Scrubber((value, other), b"#"), b"", 0
    while at < len(text):
        size = choose.randrange(1, 6)
        found += scrubber.feed(text[at : at + size])
        at += size
    found += scrubber.end()
    assert value not in found.replace(b"#", b"|") and other not in found
    assert found.count(b"-") == text.count(b"-")


def test_ordinary_text_is_not_held_back() -> None:
    scrubber = Scrubber((b"secret",), b"#")
    assert [scrubber.feed(piece) for piece in (b"data: 1\n\n", b"se", b"cond", b"sec", b"ret!")] == [
        b"data: 1\n\n",
        b"",
        b"second",
        b"",
        b"#!",
    ]


@pytest.mark.parametrize(
    "text",
    ["", "=x", "a", "a b=c", "a=\x00", "a=b\r\nX: y", "a=ü", "ü=a", 'a"=b', "a,b=c", "a=" + "x" * LONGEST],
)
def test_a_cookie_that_is_none_is_left_out(text: str) -> None:
    jar = CookieJar(lambda: 0.0)
    jar.take(ORIGIN, "/", [text])
    assert jar.header(ORIGIN, "/") == ""


@pytest.mark.parametrize(
    "attributes",
    ["Expires=never", "Expires=", "Max-Age=x", "Max-Age=99999999999999999999", "Expires=Mon, 99 Foo 9999999 99:99:99 GMT", "Path=relative"],
)
def test_an_attribute_that_is_malformed_does_not_count(attributes: str) -> None:
    jar = CookieJar(lambda: 0.0)
    jar.take(ORIGIN, "/", [f"a=b; {attributes}"])
    assert jar.header(ORIGIN, "/x") == "a=b"


def test_cookies_are_so_many_and_no_more_and_the_oldest_go_first() -> None:
    jar = CookieJar(lambda: 0.0)
    jar.take(ORIGIN, "/", [f"c{number}=x" for number in range(MOST_COOKIES + 10)])
    sent = jar.header(ORIGIN, "/").split("; ")
    assert (len(sent), sent[0]) == (MOST_COOKIES, "c10=x")
    for number in range(MOST_ORIGINS + 5):
        jar.take(("https", f"h{number}.test", 443), "/", ["a=b"])
    assert jar.header(ORIGIN, "/") == "" and jar.header(("https", "h5.test", 443), "/") == "a=b"


@pytest.mark.parametrize(
    "other", [("http", "site.test", 443), ("https", "site.test", 444), ("https", "a.site.test", 443), ("https", "test", 443)]
)
def test_a_cookie_goes_to_no_other_scheme_port_or_host(other: Any) -> None:
    jar = CookieJar(lambda: 0.0)
    jar.take(ORIGIN, "/", ["a=b; Domain=test", "c=d; Domain=.site.test"])
    assert jar.header(other, "/") == "" and jar.header(ORIGIN, "/") == "a=b; c=d"


def test_a_name_that_is_not_there_is_told_and_one_that_may_be_is_worth_trying_again() -> None:
    def look_up(host: str, port: int, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN if host == "later.test" else socket.EAI_NONAME, "x")

    async def run() -> None:
        for host, again in (("later.test", True), ("never.test", False)):
            with pytest.raises(BridgeError) as caught:
                await SystemResolver(look_up)(host, 80)
            assert (caught.value.code, caught.value.retryable) == ("no_such_host", again) and host in caught.value.message
        with pytest.raises(BridgeError):
            await SystemResolver(lambda *_, **__: [])("empty.test", 80)

    asyncio.run(run())


def test_the_system_is_asked_in_a_thread_and_gives_addresses() -> None:
    assert "127.0.0.1" in asyncio.run(_resolved("localhost"))


async def _resolved(host: str) -> Any:
    return await SystemResolver()(host, 80)


def test_look_ups_that_hang_hold_up_nobody_and_are_so_many_and_no_more() -> None:
    go_on = threading.Event()
    started = threading.Semaphore(0)

    def hang(*_: Any, **__: Any) -> Any:
        started.release()
        go_on.wait(10)
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    async def run() -> None:
        resolve = SystemResolver(hang)
        waiting = [asyncio.create_task(resolve("hanging.test", 80)) for _ in range(MOST)]
        for _ in range(MOST):
            await asyncio.to_thread(started.acquire)
        waiting[0].cancel()  # who gives up leaves the look-up running
        with pytest.raises(BridgeError, match=f"{MOST} look-ups of names are still running"):
            await resolve("another.test", 80)
        go_on.set()
        assert await asyncio.gather(*waiting[1:]) == [["127.0.0.1"]] * (MOST - 1)
        # the one that nobody waits for has given its thread back, too
        assert await asyncio.gather(*(resolve("another.test", 80) for _ in range(MOST - 1))) == [["127.0.0.1"]] * (MOST - 1)

    asyncio.run(run())


def test_a_session_begins_so_many_requests_at_once_and_then_so_many_a_second() -> None:
    pace = Pace()
    waits = [pace.next(100.0, 10.0) for _ in range(30)]
    assert waits == pytest.approx([0.0] * 10 + [number / 10 for number in range(1, 21)])
    assert pace.next(101.0, 10.0) == pytest.approx(1.1)
    assert [pace.next(200.0, 10.0) for _ in range(10)] == pytest.approx([0.0] * 10)  # no more than a second's worth is saved up
    assert pace.next(200.0, 10.0) == pytest.approx(0.1)
