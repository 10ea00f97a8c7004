"""A web server on the loopback that says just what a test writes, down to the byte.

    async with HttpServer() as server:
        server.answers["/hello"] = reply(b"hi", content_type="text/plain")
        ...
        assert server.requests[0].header("host") == server.authority

An answer is the bytes to send, or an async function of the request and of `send`, for what drips, hangs or never ends.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple


class Received(NamedTuple):
    """One request as it came; `target` is path and query, `name` what TLS called the server."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    name: str = ""

    def header(self, name: str) -> str | None:
        """The header of that name, in lower case; None where there is none."""
        return next((value for known, value in self.headers if known.lower() == name), None)


class _Reader(asyncio.StreamReader):
    """Tells of its end without being read: what a client sends next must not be swallowed by whoever waits for it to go."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.ended.set()

    def set_exception(self, exc: BaseException | type[BaseException]) -> None:
        super().set_exception(exc)  # type: ignore[arg-type]  # the stubs know instances of Exception alone
        self.ended.set()


Send = Callable[[bytes], Awaitable[None]]
Answer = bytes | Callable[[Received, Send], Awaitable[None]]


def reply(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """A whole answer; `content_type="text/plain"` is the header Content-Type."""
    head = {"content_length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} Told", *(f"{name.replace('_', '-')}: {value}" for name, value in head.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class HttpServer:
    """Answers by path, "*" being any other; what has no answer gets a 404.  `left` is set when a client closed before its answer ended."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[Received] = []
        self.connections = 0
        self.open_now = self.open_most = 0
        """Requests that are being answered, and the most there were at once."""
        self.left = asyncio.Event()
        self.host, self.port = host, port
        self._tls = tls
        self._names: dict[ssl.SSLObject, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        return f"http{'s' if self._tls else ''}://{self.authority}"

    async def __aenter__(self) -> HttpServer:
        if self._tls is not None:
            self._tls.sni_callback = self._named
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _named(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        self._names[connection] = name or ""

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(_Reader(), self._accept)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reader, _Reader)
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        try:
            name = self._names.get(writer.get_extra_info("ssl_object"), "")
            while await self._answer(await _received(reader, name), reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def _answer(self, received: Received, reader: _Reader, writer: asyncio.StreamWriter) -> bool:
        """Is the connection still good for another request?"""
        self.requests.append(received)
        answer = self.answers.get(received.target.partition("?")[0], self.answers.get("*", reply(b"nothing here", 404)))
        if isinstance(answer, bytes) and received.method == "HEAD":
            answer = b"".join(answer.partition(b"\r\n\r\n")[:2])

        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        gone = asyncio.create_task(reader.ended.wait())
        sending = asyncio.ensure_future(send(answer) if isinstance(answer, bytes) else answer(received, send))
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        try:
            await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() or sending.exception() is not None:
                self.left.set()
                return False
            return isinstance(answer, bytes) and not gone.done()
        finally:
            self.open_now -= 1
            gone.cancel()
            sending.cancel()
            await asyncio.gather(gone, sending, return_exceptions=True)


async def _received(reader: asyncio.StreamReader, name: str) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ")
    pairs = [line.partition(":") for line in lines]
    headers = [(name, value.strip()) for name, _, value in pairs]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Received(method, target, headers, await reader.readexactly(length), name)
