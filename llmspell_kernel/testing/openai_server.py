"""A provider on the loopback for tests and benchmarks: answers OpenAI chat requests over real HTTP, from a script.

    async with OpenAIServer() as server:
        server.replies.append(Reply(chunks=["Hel", "lo"]))
        environ["OPENAI_API_BASE"] = server.address

It can do what real providers do: be slow, refuse, cut the line in the middle of an answer or of a character, hang, talk nonsense.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import deque
from contextlib import suppress
from itertools import cycle
from typing import Any

import msgspec

SETTLE_S = 0.05
"""Before a break: a client throws away what it has not read yet when the break reaches it, and a test must know what came."""


class Reply(msgspec.Struct, frozen=True):
    """One answer.  With a `status` other than 200 it is an error with `message`.

    `end`: "done" finishes the answer; "cut" breaks the connection where the rest would come; "reset" breaks it by RST; "quiet" closes it
    politely there, without the last events; "hang" waits there until the client goes; "mute" does so before the first byte; "endless" begins
    again with the first event, for ever.  `write_bytes` sends that many bytes at a time, across characters.  With `body`, those bytes are
    sent piece by piece instead of events: whatever a broken provider may say.  `vectors` answer a request for embeddings.
    """

    chunks: list[str] = []
    status: int = 200
    message: str = ""
    error_code: str = ""
    headers: dict[str, str] = {}
    delay_s: float = 0.0
    tool_calls: list[dict[str, Any]] = []
    finish_reason: str = "stop"
    usage: dict[str, Any] | None = msgspec.field(default_factory=lambda: {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
    end: str = "done"
    write_bytes: int = 0
    body: list[bytes] = []
    vectors: list[list[Any]] = []


class OpenAIServer:
    """`requests` holds every request body; `left` is set when a client closed its connection before its answer was complete."""

    def __init__(self, default: Reply | None = None) -> None:
        self.replies: deque[Reply] = deque()
        self.default = default or Reply(chunks=["Hello", " from", " the", " server"])
        self.requests: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.address = ""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def serving(self) -> int:
        """How many connections are open."""
        return len(self._tasks)

    async def __aenter__(self) -> OpenAIServer:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            self.requests.append(json.loads(await reader.readexactly(length)))
            reply = self.replies.popleft() if self.replies else self.default
            await self._answer(reply, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply.end == "mute":
            await _gone(reader)
            return self.left.set()
        if reply.status != 200:
            error = {"error": {"message": reply.message, "type": "error", "code": reply.error_code or None}}
            body = json.dumps(error).encode()
            writer.write(_head(reply, {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}) + body)
            return await writer.drain()
        if reply.vectors:
            body = json.dumps(_embeddings(reply)).encode()
            writer.write(_head(reply, {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}) + body)
            return await writer.drain()
        framing = {"Connection": "close"} if reply.end == "quiet" else {"Connection": "close", "Transfer-Encoding": "chunked"}
        writer.write(_head(reply, {"Content-Type": "text/event-stream", **framing}))
        gone = asyncio.create_task(_gone(reader))
        sending = asyncio.create_task(_send(reply, writer, chunked="Transfer-Encoding" in framing))
        try:
            await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() or sending.exception() is not None:
                self.left.set()
            elif reply.end == "cut":
                writer.transport.abort()
            elif reply.end == "reset":
                _reset(writer)
        finally:
            gone.cancel()
            sending.cancel()
            await asyncio.gather(gone, sending, return_exceptions=True)
        return None


async def _gone(reader: asyncio.StreamReader) -> None:
    """Ends when the client closed its side."""
    with suppress(ConnectionError):
        await reader.read()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes at once by RST, as a provider's dying machine does: what is still on its way is lost."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _send(reply: Reply, writer: asyncio.StreamWriter, *, chunked: bool) -> None:
    events = reply.body or events_of(reply)
    for event in cycle(events) if reply.end == "endless" else events:
        await asyncio.sleep(reply.delay_s)
        await _write(event, writer, reply.write_bytes, chunked)
    if reply.end == "hang":
        await asyncio.Event().wait()
    if reply.end in ("cut", "reset"):
        await asyncio.sleep(SETTLE_S)
    if reply.end == "done" and chunked:
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _write(event: bytes, writer: asyncio.StreamWriter, size: int, chunked: bool) -> None:
    for start in range(0, len(event), size or len(event)):
        piece = event[start : start + (size or len(event))]
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        await writer.drain()


def events_of(reply: Reply) -> list[bytes]:
    """The answer as events of the stream, one a piece; tests of broken providers change their bytes."""
    events = [_event({"content": text}) for text in reply.chunks]
    if reply.tool_calls:
        events.append(_event({"tool_calls": reply.tool_calls}))
    if reply.end != "done":
        return events
    events.append(_event({}, reply.finish_reason))
    if reply.usage is not None:
        events.append(_data({**_FIELDS, "choices": [], "usage": reply.usage}))
    return [*events, b"data: [DONE]\n\n"]


_FIELDS = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "test-model"}


def _event(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    return _data({**_FIELDS, "choices": [{"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish_reason}]})


def _embeddings(reply: Reply) -> dict[str, Any]:
    """The last first: the order is that of `index`."""
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(reply.vectors)]
    return {"object": "list", "data": data[::-1], "model": "test-model", "usage": reply.usage}


def _data(fields: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n".encode()


def _head(reply: Reply, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{name}: {value}" for name, value in {**headers, **reply.headers}.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
