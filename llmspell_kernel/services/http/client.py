"""Sends requests and follows redirects for one policy.

Rules
- The policy judges each hop before anything is looked up, and the backend each address before it is dialled.
- To another origin go neither secrets nor cookies, and of the script's headers only those that cannot be keys.
- One deadline over everything; so many requests at once and a second; sizes are counted after unpacking.
- What is not read to its end is closed, whatever ended it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import certifi
import httpcore

from llmspell_kernel.errors import BridgeError, ConfigError, LimitError, ScriptError, SpellError

from .backend import METER, HeadMeter, PinnedBackend
from .cookies import CookieJar
from .failures import mapped
from .pace import Pace
from .resolver import Resolve
from .unpacking import ACCEPTED, unpacker

if TYPE_CHECKING:
    from llmspell_kernel.policy.network import NetworkPolicy
    from llmspell_kernel.policy.urls import Url

USER_AGENT = "llmspell"
REDIRECTS = (301, 302, 303, 307, 308)
PACKING = 64 * 1024
"""How much larger a body may be on the wire than unpacked: what is packed and says nothing counts too."""
IDLE_S = 15.0
"""How long a connection is kept for the next request."""


class Request(NamedTuple):
    """One call, judged and ready: `headers` in lower case; `secret` is the header that holds one, which the first origin alone gets."""

    method: str
    url: Url
    headers: list[tuple[str, str]]
    body: bytes | None
    secret: tuple[str, str] | None
    timeout_s: float
    redirects: int
    max_bytes: int

    @property
    def what(self) -> str:
        """For errors."""
        return f"{self.method} {self.url.shown}"


class Answer(NamedTuple):
    """`headers` in lower case, each name once; `hops` counts the redirects that were followed."""

    status: int
    url: Url
    headers: Mapping[str, str]
    body: bytes
    hops: int


class OpenAnswer:
    """An answer whose body is still to come.  Whoever has one closes it."""

    def __init__(self, request: Request, hops: int, raw: httpcore.Response, release: Callable[[], None]) -> None:
        self.status: int = raw.status
        self.url = request.url
        self.hops = hops
        self.headers = _joined(raw.headers)
        self.location = _location(raw.headers)
        self._request, self._raw, self._release = request, raw, release

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, unpacked, in pieces of bounded size.  Raises LimitError and BridgeError."""
        has_body = self._request.method != "HEAD" and self.status not in (204, 304)
        length = self.headers.get("content-length", "")
        if has_body and length.isascii() and length.isdigit():
            self._check_size(int(length[:19]))
        unpack = unpacker(self.headers.get("content-encoding", "") if has_body else "")
        size = packed = 0
        with mapped(self._request.what):
            async for data in self._raw.aiter_stream():
                packed += len(data)
                self._check_size(packed - PACKING)
                for piece in unpack.feed(data):
                    size += len(piece)
                    self._check_size(size)
                    yield piece
            unpack.end()

    def keep_place(self) -> None:
        """Closing will not give back the session's place."""
        self._release = _nothing

    async def close(self) -> None:
        """Also closes the connection, where the body was not read to its end.  Closing again does nothing."""
        release, self._release = self._release, _nothing
        release()
        with mapped(self._request.what):
            await self._raw.aclose()

    def _check_size(self, size: int) -> None:
        most = self._request.max_bytes
        if size > most:
            raise LimitError(
                f"{self._request.what}: the answer is larger than {most} bytes; ask for less of it, or raise response_bytes in [network]"
                " and the option max_bytes",
                limit="network.response_bytes",
                value=most,
                used=size,
            )


class HttpClient:
    """For one policy: connections are never shared with another one.  Cookies and pace belong to the session and outlive it."""

    def __init__(
        self, policy: NetworkPolicy, *, resolve: Resolve, cookies: CookieJar, pace: Pace, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self.policy = policy
        self._cookies = cookies
        self._pace = pace
        self._slots = asyncio.Semaphore(policy.concurrent)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or trusted(policy.ca_file),
            max_connections=policy.concurrent,
            keepalive_expiry=IDLE_S,
            network_backend=PinnedBackend(policy, resolve),
        )

    async def send(self, request: Request) -> Answer:
        """The whole answer.  Raises DeniedError, LimitError and BridgeError."""
        async with deadline(request):
            answer = await self.open(request)
            try:
                body = bytearray()
                async for piece in answer.pieces():
                    body += piece
            finally:
                await answer.close()
        return Answer(answer.status, answer.url, answer.headers, bytes(body), answer.hops)

    async def open(self, request: Request) -> OpenAnswer:
        """The answer's head, once all redirects are followed; it holds one of the session's places until it is closed."""
        await self._slots.acquire()
        try:
            return await self._follow(request)
        except BaseException:
            self._slots.release()
            raise

    async def close(self) -> None:
        await self._pool.aclose()

    async def _follow(self, request: Request) -> OpenAnswer:
        hops = 0
        while True:
            answer = OpenAnswer(request, hops, await self._exchange(request), self._slots.release)
            if answer.status not in REDIRECTS or not answer.location or not request.redirects:
                return answer
            await _close_hop(answer)
            if hops == request.redirects:
                raise LimitError(
                    f"{request.what}: more than {hops} redirects", limit="network.redirects", value=request.redirects, used=hops + 1
                )
            request, hops = self._redirected(request, answer.status, answer.location), hops + 1

    async def _exchange(self, request: Request) -> httpcore.Response:
        url = request.url
        await self._pace.turn(self.policy.requests_per_s)
        meter = HeadMeter(self.policy.header_bytes)
        METER.set(meter)
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.scheme, host=url.host.name, port=url.port, target=url.path),
            headers=self._head(request),
            content=request.body or b"",
        )
        with mapped(request.what):
            raw = await self._pool.handle_async_request(sent)
        meter.complete = True
        try:
            meter.check(sum(len(name) + len(value) for name, value in raw.headers))
            if raw.status < 200:
                raise BridgeError(f"{request.what}: the server wants to speak another protocol", code="bad_answer")
        except SpellError:
            await raw.aclose()
            raise
        self._cookies.take(url.origin, url.path, [_decoded(value) for name, value in raw.headers if name.lower() == b"set-cookie"])
        return raw

    def _head(self, request: Request) -> list[tuple[bytes, bytes]]:
        given = dict(request.headers)
        head = {"host": request.url.authority, "user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": ACCEPTED, **given}
        if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
            head["content-length"] = str(len(request.body or b""))
        if request.secret is not None:
            head[request.secret[0]] = request.secret[1]
        if "cookie" not in head and (cookies := self._cookies.header(request.url.origin, request.url.path)):
            head["cookie"] = cookies
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in head.items()]

    def _redirected(self, request: Request, status: int, location: str) -> Request:
        try:
            url = self.policy.redirected(request.url, location)
        except ScriptError as error:
            raise BridgeError(f"{request.what} redirects to what cannot be called: {error.message}", code="bad_answer") from error
        if (status == 303 and request.method != "HEAD") or (status in (301, 302) and request.method == "POST"):
            headers = [(name, value) for name, value in request.headers if not name.startswith("content-")]
            request = request._replace(method=self.policy.method("GET"), body=None, headers=headers)
        if url.origin != request.url.origin:
            request = request._replace(headers=self.policy.across_origins(request.headers), secret=None)
        return request._replace(url=url)


@asynccontextmanager
async def deadline(request: Request) -> AsyncIterator[None]:
    """Timeouts of httpcore count single reads, and a byte now and then keeps them from ever being met."""
    try:
        async with asyncio.timeout(request.timeout_s) as timer:
            yield
    except TimeoutError as error:
        if not timer.expired():
            raise
        raise BridgeError(f"{request.what}: no whole answer within {request.timeout_s:g} s", retryable=True, code="timeout") from error


def trusted(ca_file: str) -> ssl.SSLContext:
    """The public certificates, and those of a file of the user's.  Not by ssl.create_default_context, which obeys the environment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_verify_locations(certifi.where())
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror if type(error) is not ssl.SSLError and isinstance(error, OSError) else "it holds no certificates"
            raise ConfigError(f"'{ca_file}' cannot be used: {reason}", key="network.ca_file") from error
    return context


async def _close_hop(answer: OpenAnswer) -> None:
    """The next hop goes on in the same place."""
    answer.keep_place()
    await answer.close()


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """By lower-case name; what comes several times in one text.  Cookies stay in the session's jar: a script does not see them."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), _decoded(raw_value)
        if name not in ("set-cookie", "set-cookie2"):
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _location(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The first one: of several, joined, nobody meant the sum."""
    return next((_decoded(value) for name, value in headers if name.lower() == b"location"), "")


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _nothing() -> None:
    pass
