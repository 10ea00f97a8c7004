"""A provider on the loopback, in a process of its own: answers OpenAI chat requests after 20 ms, or as long as it is told, with a short stream,
connections kept open."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

ANSWER_S = 0.020
WORDS = ("The ", "quick ", "brown ", "fox ", "jumps.")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIELDS = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "bench"}


def event(fields: object) -> bytes:
    text = f"data: {fields if isinstance(fields, str) else json.dumps(fields)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(text), text)


def choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, object]:
    return {**FIELDS, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


ANSWER = b"".join(
    [
        HEAD,
        *(event(choice({"role": "assistant", "content": word})) for word in WORDS),
        event(choice({}, "stop")),
        event({**FIELDS, "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}),
        event("[DONE]"),
        b"0\r\n\r\n",
    ]
)


async def serve(answer_s: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
            await asyncio.sleep(answer_s)
            writer.write(ANSWER)
            await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(partial(serve, float(sys.argv[1])), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def provider(answer_s: float = ANSWER_S) -> Iterator[str]:
    """The address of a running provider."""
    with subprocess.Popen([sys.executable, __file__, str(answer_s)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(main())
