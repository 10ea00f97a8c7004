"""A provider's connection is kept for the next question, also where the client behind litellm would throw it away.

The client stops reading at the last event, `[DONE]`, and closes the response there (openai 2.54): the few bytes that end an HTTP body are then
unread, and httpx gives up a connection with something unread in it.  With a provider far away the next question pays for that with a new
connection and its encryption, some hundred milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

LAST_EVENT = b"[DONE]"
REST_BYTES, REST_S = 4096, 0.1
"""What may come after the last event, and how long it is waited for."""


def keep_connection(source: Any) -> None:
    """`source` is litellm's stream before its first piece.  One that has no response of httpx in it is left as it is."""
    import httpx  # litellm is there, and has imported it

    response = getattr(getattr(source, "completion_stream", None), "response", None)
    if isinstance(response, httpx.Response) and isinstance(response.stream, httpx.AsyncByteStream) and not response.is_closed:
        response.stream = _read_to_its_end(httpx.AsyncByteStream, response.stream)


def _read_to_its_end(kind: type, body: Any) -> Any:
    class ReadToItsEnd(kind):  # type: ignore[misc]
        """The body; where it is closed after the last event, what is left of it is read first.  One that is cut short is closed at once."""

        def __init__(self) -> None:
            self._pieces: AsyncIterator[bytes] | None = None
            self._end = b""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            self._pieces = aiter(body)
            async for piece in self._pieces:
                self._end = (self._end + piece)[-64:]
                yield piece

        async def aclose(self) -> None:
            try:
                if LAST_EVENT in self._end and self._pieces is not None:
                    await _read_rest(self._pieces)
            finally:
                await body.aclose()

    return ReadToItsEnd()


async def _read_rest(pieces: AsyncIterator[bytes]) -> None:
    with suppress(Exception):  # whatever happens to what nobody wants, the connection is closed then
        async with asyncio.timeout(REST_S):
            count = 0
            async for piece in pieces:
                count += len(piece)
                if count > REST_BYTES:
                    return
