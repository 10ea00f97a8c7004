"""What the tests of HTTP share: a service whose names are the test's own, and a server it may call."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from llmspell_kernel.errors import BridgeError, DeniedError
from llmspell_kernel.policy.network import NetworkPolicy
from llmspell_kernel.services.http.client import Answer
from llmspell_kernel.services.http.options import RequestOptions
from llmspell_kernel.services.http.service import HttpService
from llmspell_kernel.testing.http_server import HttpServer

HOSTS = ("site.test", "other.test", "127.0.0.1")
SECRET = "sk-0123456789abcdef"


class World(NamedTuple):
    """`server` may be called as site.test, other.test and 127.0.0.1; the secret `token` is bound to site.test."""

    server: HttpServer
    service: HttpService

    def url(self, path: str, host: str = "site.test") -> str:
        return f"http{'s' if self.server._tls else ''}://{host}:{self.server.port}{path}"

    async def call(self, path: str = "/", method: str = "GET", *, host: str = "site.test", **options: Any) -> Answer:
        return await self.service.call(method, self.url(path, host), RequestOptions(**options))


async def loopback(host: str, port: int) -> Sequence[str]:
    if host not in HOSTS:
        raise BridgeError(f"the host {host} was not found", code="no_such_host")
    return ["127.0.0.1"]


def secret(name: str, host: str, scheme: str) -> str:
    if name != "token" or host.partition(":")[0] not in ("site.test", "127.0.0.1"):
        raise DeniedError(f"the secret '{name}' is not bound to {scheme}://{host}")
    return SECRET


@asynccontextmanager
async def world(
    *, tls: ssl.SSLContext | None = None, trusted: ssl.SSLContext | None = None, now: Any = None, **policy: Any
) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(HttpServer(tls=tls))
        listed = tuple(f"{host}:{server.port}" for host in HOSTS)
        held = NetworkPolicy(**{"allow_private": listed, "timeout_s": 20.0, **policy})
        more: Mapping[str, Any] = {} if now is None else {"now": now}
        service = HttpService(lambda: held, secret, resolve=loopback, ssl_context=trusted, **more)
        stack.push_async_callback(service.close)
        yield World(server, service)
