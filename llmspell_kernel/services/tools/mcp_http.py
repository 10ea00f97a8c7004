"""The HTTP client for MCP servers with a URL: it goes where the settings say, with bounds on what is sent back.

Rules: no proxy and no key of the environment is used; no compressed answer is asked for or taken, as a small one can become a large one; an answer
is at most MAX_MESSAGE_BYTES, or where it is a stream of events, each of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from .mcp_process import MAX_MESSAGE_BYTES

CONNECT_S = 10.0


def bounded_client(headers: Mapping[str, str], timeout_s: float) -> Any:
    """An httpx2.AsyncClient."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):  # type: ignore[misc]  # an extra, which types are not read from
        def __init__(self, inner: Any, most: int) -> None:
            self._inner = inner
            self._left = most

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for piece in self._inner:
                self._left -= len(piece)
                if self._left < 0:
                    raise httpx2.ReadError(f"an answer had more than {MAX_MESSAGE_BYTES:,} bytes")
                yield piece

        async def aclose(self) -> None:
            await self._inner.aclose()

    class Transport(httpx2.AsyncHTTPTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            answer = await super().handle_async_request(request)
            if answer.headers.get("content-encoding", "identity") != "identity":
                await answer.aclose()
                raise httpx2.ReadError("an answer was compressed, which was not asked for")
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                answer.stream = Bounded(answer.stream, MAX_MESSAGE_BYTES)
            return answer

    return httpx2.AsyncClient(
        headers={**headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(timeout_s, connect=CONNECT_S),
        transport=Transport(trust_env=False),
        trust_env=False,
    )
