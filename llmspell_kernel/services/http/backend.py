"""The only place that opens connections for scripts.

Rules
- A name is looked up once for a connection; the policy judges every address that was found, and only a judged one is dialled, as a number.
  TLS and the Host header keep the name.
- The heads of answers are measured as they come, whatever stands in them.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import httpcore

from llmspell_kernel.errors import BridgeError, LimitError

from .resolver import Resolve

if TYPE_CHECKING:
    from llmspell_kernel.policy.network import NetworkPolicy

MOST_ADDRESSES = 4
"""How many addresses of one name are tried."""


class HeadMeter:
    """How much came of an answer before its head was complete: also what a server says before it, such as a million `100 Continue`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._received = 0
        self.complete = False

    def before_read(self) -> None:
        if not self.complete:
            self.check(self._received)

    def check(self, size: int) -> None:
        if size > self._limit:
            raise LimitError(
                f"the head of the answer is larger than {self._limit} bytes", limit="network.header_bytes", value=self._limit, used=size
            )

    def after_read(self, size: int) -> None:
        self._received += size


METER: ContextVar[HeadMeter | None] = ContextVar("METER", default=None)
"""Of the request that the running task makes: httpcore reads in the task that asked."""


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Dials for one policy."""

    def __init__(self, policy: NetworkPolicy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        limit = self._policy.connect_s
        try:
            async with asyncio.timeout(limit):
                found = [host] if _is_address(host) else await self._resolve(host, port)
                addresses = self._policy.addresses(host, port, found)[:MOST_ADDRESSES]
                return await self._dial(addresses, port, limit / len(addresses), socket_options)
        except TimeoutError as error:
            raise BridgeError(f"{host} could not be reached within {limit:g} s", retryable=True, code="timeout") from error

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("scripts reach no sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _dial(
        self, addresses: list[str], port: int, each_s: float, socket_options: Iterable[httpcore.SOCKET_OPTION] | None
    ) -> httpcore.AsyncNetworkStream:
        *others, last = addresses
        for address in others:
            try:
                return _Measured(await self._inner.connect_tcp(address, port, each_s, None, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # the last one's failure is told
        return _Measured(await self._inner.connect_tcp(last, port, None, None, socket_options))


class _Measured(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        meter = METER.get()
        if meter is not None:
            meter.before_read()
        data = await self._inner.read(max_bytes, timeout)
        if meter is not None:
            meter.after_read(len(data))
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Measured(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
