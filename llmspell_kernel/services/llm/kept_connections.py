"""A provider's connection is kept for the next question, also where the client behind litellm would throw it away.

The client stops reading at the last event, `[DONE]`, and closes the response there (openai 2.54): the few bytes that end an HTTP body are then
unread, and httpx gives up a connection with something unread in it.  With a provider far away the next question pays for that with a new
connection and its encryption, some hundred milliseconds.

Of a provider on this machine only a few are kept: a new one costs a fifth of a millisecond there, while httpx's pool asks the system about each
that it keeps, and gives one of them to several questions that begin at once, of which all but one ask again.  Measured with 100 questions at
once, that was a quarter of all the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from typing import Any
from weakref import WeakSet

LAST_EVENT = b"[DONE]"
REST_BYTES, REST_S = 4096, 0.1
"""What may come after the last event, and how long it is waited for."""
MOST_NEAR = 4


class KeptConnections:
    """To the provider of one model."""

    def __init__(self) -> None:
        self._idle: WeakSet[Any] = WeakSet()
        """Those that were kept, and have answered no other question yet."""

    def keep(self, source: Any) -> None:
        """`source` is litellm's stream before its first piece.  One that has no response of httpx in it is left as it is."""
        import httpx  # litellm is there, and has imported it

        response = getattr(getattr(source, "completion_stream", None), "response", None)
        if isinstance(response, httpx.Response) and isinstance(response.stream, httpx.AsyncByteStream) and not response.is_closed:
            connection = response.extensions.get("network_stream")
            self._idle.discard(connection)
            response.stream = _read_to_its_end(httpx.AsyncByteStream)(response.stream, self, connection)

    def takes(self, connection: Any) -> bool:
        """Is that one, whose answer has come to its end, to be kept?"""
        if connection is None:
            return True
        if len(self._idle) >= MOST_NEAR and _is_near(connection):
            return False
        self._idle.add(connection)
        return True


@cache
def _read_to_its_end(kind: type) -> Any:
    class ReadToItsEnd(kind):  # type: ignore[misc]
        """The body; where it is closed after the last event, what is left of it is read first.  One that is cut short is closed at once."""

        def __init__(self, body: Any, kept: KeptConnections, connection: Any) -> None:
            self._body, self._kept, self._connection = body, kept, connection
            self._pieces: AsyncIterator[bytes] | None = None
            self._end = b""

        async def __aiter__(self) -> AsyncIterator[bytes]:
            self._pieces = aiter(self._body)
            async for piece in self._pieces:
                self._end = (self._end + piece)[-64:]
                yield piece

        async def aclose(self) -> None:
            try:
                if LAST_EVENT in self._end and self._pieces is not None and self._kept.takes(self._connection):
                    await _read_rest(self._pieces)
            finally:
                await self._body.aclose()

    return ReadToItsEnd


def _is_near(connection: Any) -> bool:
    """Is it one to this machine, and without encryption?"""
    address = connection.get_extra_info("server_addr")
    if connection.get_extra_info("ssl_object") is not None or not isinstance(address, tuple):
        return False
    with suppress(ValueError):  # the path of a socket, or whatever else is no address
        return ip_address(str(address[0]).partition("%")[0]).is_loopback
    return False


async def _read_rest(pieces: AsyncIterator[bytes]) -> None:
    with suppress(Exception):  # whatever happens to what nobody wants, the connection is closed then
        async with asyncio.timeout(REST_S):
            count = 0
            async for piece in pieces:
                count += len(piece)
                if count > REST_BYTES:
                    return
