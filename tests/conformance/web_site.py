"""The web server that the cases of `http` call: `probe.site()` is its address."""

from __future__ import annotations

import asyncio
import gzip
import json

from llmspell_kernel.testing.http_server import HttpServer, Received, Send, reply


def web_site() -> HttpServer:
    server = HttpServer()
    server.answers |= {
        "/hello": reply("grüß dich".encode(), content_type="text/plain; charset=utf-8", x_own="Mine"),
        "/latin": reply("grüß".encode("latin-1"), content_type="text/plain; charset=iso-8859-1"),
        "/bytes": reply(b"\x00\xff\x80", content_type="application/octet-stream"),
        "/packed": reply(gzip.compress(b"packed"), content_encoding="gzip"),
        "/json": reply('{"list": [1, 2.5, null, "ü"], "empty": {}}'.encode(), content_type="application/json"),
        "/no-json": reply(b"<html>", content_type="text/html"),
        "/missing": reply(b"not here", 404),
        "/busy": reply(b"later", 503),
        "/old": reply(status=302, location="/hello"),
        "/loop": reply(status=302, location="/loop"),
        "/away": reply(status=302, location="http://127.0.0.2:1/"),
        "/nonsense": b"nonsense\r\n\r\n",
        "/large": reply(b"x" * 2_000),
        "/set": reply(b"set", set_cookie="seen=yes; Path=/"),
        "/echo": _echo,
        "/lines": _lines,
        "/hang": _hang,
    }
    return server


async def _echo(received: Received, send: Send) -> None:
    told = {"method": received.method, "target": received.target, "body": received.body.decode("latin-1")}
    for name in ("content-type", "x-own", "cookie", "user-agent"):
        if (value := received.header(name)) is not None:
            told[name] = value
    await send(reply(json.dumps(told).encode(), content_type="application/json", connection="close"))


async def _lines(received: Received, send: Send) -> None:
    await send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    for line in ("eins\n", "zwölf\n", "drei\n"):
        await send(line.encode())
        await asyncio.sleep(0)


async def _hang(received: Received, send: Send) -> None:
    await send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    await asyncio.Event().wait()
