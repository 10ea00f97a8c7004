"""The requests of one session: options made into a request, with the secret that it names, and sent by the client of the policy that holds.

Rules
- A secret is looked up for a host that the policy has allowed, and sent in a header, over https (or to a host that the user listed as private).
- Its value is taken out of what comes back: a script that can read the answer cannot read the key.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, NamedTuple

from llmspell_kernel.errors import ArgumentError, BridgeError, ConfigError, DeniedError, LimitError

from .bodies import body_of, query_of
from .client import Answer, HttpClient, OpenAnswer, Request, deadline
from .cookies import CookieJar
from .options import Auth, RequestOptions
from .pace import Pace
from .resolver import Resolve, SystemResolver
from .scrubbing import Scrubber

if TYPE_CHECKING:
    from llmspell_kernel.policy.network import NetworkPolicy
    from llmspell_kernel.policy.urls import Url

SecretOf = Callable[[str, str, str], str]
"""`secret(name, host, scheme)`: its value, where it is bound to that host ("api.example.com:443"); else DeniedError."""


class _Secret(NamedTuple):
    header: tuple[str, str]
    scrubber: Scrubber


class HttpService:
    """`policy` gives the one that holds now; `now` the seconds since 1970."""

    def __init__(
        self,
        policy: Callable[[], NetworkPolicy],
        secret: SecretOf,
        *,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._policy = policy
        self._secret = secret
        self._resolve = resolve or SystemResolver()
        self._ssl_context = ssl_context
        self._pace = Pace()
        self._client: HttpClient | None = None
        self._retired: list[HttpClient] = []
        self.cookies = CookieJar(now)

    async def call(self, method: str, url: str, options: RequestOptions) -> Answer:
        """The whole answer.  Raises ScriptError for a wrong call, DeniedError, LimitError and BridgeError."""
        request, scrubber = self._request(method, url, options)
        answer = await self._current().send(request)
        if scrubber is None:
            return answer
        body = scrubber.feed(answer.body) + scrubber.end()
        return answer._replace(body=body, headers={name: scrubber.text(value) for name, value in answer.headers.items()})

    async def open(self, method: str, url: str, options: RequestOptions) -> StreamedAnswer:
        """The answer's head, within the call's time; its pieces each have as much again."""
        request, scrubber = self._request(method, url, options)
        async with deadline(request):
            answer = await self._current().open(request)
        return StreamedAnswer(request, answer, scrubber or Scrubber((), b""))

    async def close(self) -> None:
        clients = [*self._retired, *([self._client] if self._client else [])]
        self._retired, self._client = [], None
        for client in clients:
            await client.close()

    def _current(self) -> HttpClient:
        """The client of the policy that holds.  One of an older policy ends what it has begun, and is closed with the session."""
        policy = self._policy()
        if self._client is None or self._client.policy != policy:
            client = HttpClient(policy, resolve=self._resolve, cookies=self.cookies, pace=self._pace, ssl_context=self._ssl_context)
            if self._client is not None:
                self._retired.append(self._client)
            self._client = client
        return self._client

    def _request(self, method: str, text: str, options: RequestOptions) -> tuple[Request, Scrubber | None]:
        policy = self._policy()
        method = policy.method(method)
        url = policy.url(text, query_of(options.query))
        headers = policy.headers(options.headers or {})
        body, kind = body_of(options)
        _check_body(method, body, policy.request_bytes)
        if kind and not any(name == "content-type" for name, _ in headers):
            headers.append(("content-type", kind))
        secret = None if options.auth is None else self._secret_for(policy, url, options.auth, headers)
        request = Request(
            method,
            url,
            headers,
            body,
            secret.header if secret else None,
            min(options.timeout_s or policy.timeout_s, policy.timeout_s),
            policy.redirects if options.redirects is None else min(options.redirects, policy.redirects),
            min(options.max_bytes or policy.response_bytes, policy.response_bytes),
        )
        return request, secret.scrubber if secret else None

    def _secret_for(self, policy: NetworkPolicy, url: Url, auth: str | Auth, headers: list[tuple[str, str]]) -> _Secret:
        auth = Auth(auth) if isinstance(auth, str) else auth
        if url.scheme != "https" and not policy.is_private(url.host, url.port):
            raise DeniedError(f"the secret '{auth.secret}' is sent by https only, and {url.shown} is not; change the URL")
        value = self._secret(auth.secret, f"{url.host.written}:{url.port}", url.scheme).strip()
        if not value.isascii() or not value.isprintable() or not value:
            raise ConfigError(
                f"the secret '{auth.secret}' is empty, or holds characters that no header may have", key=f"secrets.{auth.secret}"
            )
        sent = b64encode(value.encode()).decode() if auth.scheme.lower() == "basic" else value
        [(name, scheme)] = policy.headers({auth.header: auth.scheme})
        if any(given == name for given, _ in headers):
            raise ArgumentError(f"the header '{name}' is given both in headers and by auth; leave out one of them")
        values = dict.fromkeys((sent.encode(), value.encode(), b64encode(value.encode())))
        return _Secret((name, f"{scheme} {sent}".lstrip()), Scrubber(tuple(values), f"[secret {auth.secret}]".encode()))


class StreamedAnswer:
    """An answer that is read piece by piece."""

    def __init__(self, request: Request, answer: OpenAnswer, scrubber: Scrubber) -> None:
        self.status = answer.status
        self.url = answer.url
        self.hops = answer.hops
        self.headers = {name: scrubber.text(value) for name, value in answer.headers.items()}
        self._request, self._answer, self._scrubber = request, answer, scrubber
        self._pieces: AsyncIterator[bytes] | None = answer.pieces()
        self._turn = asyncio.Lock()

    async def next(self) -> bytes | None:
        """The next bytes, None at the end and once it is closed.  Several may ask at once: each gets another piece."""
        async with self._turn:
            return await self._next()

    async def _next(self) -> bytes | None:
        while self._pieces is not None:
            try:
                async with deadline(self._request):
                    piece = await anext(self._pieces, None)
            except BridgeError:
                if self._pieces is None:
                    return None  # closed while it was waited for
                raise
            if piece is None:
                self._pieces = None
                return self._scrubber.end() or None
            if scrubbed := self._scrubber.feed(piece):
                return scrubbed
        return None

    async def close(self) -> None:
        self._pieces = None
        await self._answer.close()


def _check_body(method: str, body: bytes | None, most: int) -> None:
    if body is None:
        return
    if method in ("GET", "HEAD"):
        raise ArgumentError(f"a {method} request has no body; use POST, or the option query")
    if len(body) > most:
        raise LimitError(
            f"the body of the request has {len(body)} bytes; the most is {most} (setting [network] request_bytes)",
            limit="network.request_bytes",
            value=most,
            used=len(body),
        )
