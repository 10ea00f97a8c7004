"""The HTTP client for MCP servers with a URL: it goes where the settings say, with bounds on what is sent back.

Rules: no proxy and no key of the environment is used; no compressed answer is asked for or taken, as a small one can become a large one; an answer
is at most MAX_MESSAGE_BYTES, and holds no more than counts as much, or where it is a stream of events, each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from .mcp_sizes import MAX_MESSAGE_BYTES, EventSizes, TooLarge, check_message

CONNECT_S = 10.0


def bounded_client(headers: Mapping[str, str], timeout_s: float) -> Any:
    """An httpx2.AsyncClient."""
    import httpx2

    class Whole(httpx2.AsyncByteStream):  # type: ignore[misc]  # an extra, which types are not read from
        """Given on when all of it is there and counted."""

        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            whole = bytearray()
            async for piece in self._inner:
                whole += piece
                if len(whole) > MAX_MESSAGE_BYTES:
                    raise httpx2.ReadError(f"an answer had more than {MAX_MESSAGE_BYTES:,} bytes")
            answer = bytes(whole)
            try:
                await asyncio.to_thread(check_message, answer)
            except TooLarge as error:
                raise httpx2.ReadError(str(error)) from None
            yield answer

        async def aclose(self) -> None:
            await self._inner.aclose()

    class Events(httpx2.AsyncByteStream):  # type: ignore[misc]
        """Given on as they come, to the end of one that is too large."""

        def __init__(self, inner: Any) -> None:
            self._inner = inner
            self._sizes = EventSizes()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for piece in self._inner:
                try:
                    self._sizes.add(piece)
                except TooLarge as error:
                    raise httpx2.SSEError(str(error)) from None
                yield piece

        async def aclose(self) -> None:
            await self._inner.aclose()

    class Transport(httpx2.AsyncHTTPTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            answer = await super().handle_async_request(request)
            if answer.headers.get("content-encoding", "identity") != "identity":
                await answer.aclose()
                raise httpx2.ReadError("an answer was compressed, which was not asked for")
            if answer.headers.get("content-type", "").lower().startswith("text/event-stream"):
                answer.headers["content-type"] = "text/event-stream"  # always UTF-8: in another encoding, other bytes would be the marks
                answer.stream = Events(answer.stream)
            else:
                answer.stream = Whole(answer.stream)
            return answer

    return httpx2.AsyncClient(
        headers={**headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(timeout_s, connect=CONNECT_S),
        transport=Transport(trust_env=False),
        trust_env=False,
    )
