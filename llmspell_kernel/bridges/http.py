"""The bridge `http`: requests to hosts that the network policy allows."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from llmspell_kernel import Bridge, Context, Resource, method
from llmspell_kernel.errors import ArgumentError, BridgeError
from llmspell_kernel.services.http.options import RequestOptions

from ._bridge import BridgeSession

if TYPE_CHECKING:
    from llmspell_kernel.services.http.client import Answer
    from llmspell_kernel.services.http.service import HttpService, StreamedAnswer

WORTH_TRYING_AGAIN = (408, 425, 429, 500, 502, 503, 504)
NO_OPTIONS = RequestOptions()


class HttpStream(Resource):
    """An answer as it comes: loop over it, or call `next` until it gives nothing."""

    type = "http.stream"
    iterate = "next"
    lasting = ("status", "headers")

    def __init__(self, answer: StreamedAnswer, *, binary: bool) -> None:
        from llmspell_kernel.services.http.text import charset_of

        self._answer = answer
        self._decoder = None if binary else codecs.getincrementaldecoder(charset_of(answer.headers.get("content-type", "")))("replace")

    @method
    async def next(self, ctx: Context) -> str | bytes | None:
        """The next piece of text, or of bytes where the call said `binary`; nothing at the end.  Raises as the call itself does."""
        while (piece := await self._answer.next()) is not None:
            if self._decoder is None:
                return piece
            if text := self._decoder.decode(piece):
                return text
        rest = self._decoder.decode(b"", True) if self._decoder else ""
        self._decoder = None
        return rest or None

    @method
    async def status(self, ctx: Context) -> int:
        """The status of the answer, such as 200."""
        return self._answer.status

    @method
    async def headers(self, ctx: Context) -> dict[str, str]:
        """The headers of the answer, by name in lower case."""
        return dict(self._answer.headers)

    @method
    async def close(self, ctx: Context) -> None:
        """Stops reading and closes the connection.  Closing again does nothing."""
        await self.release()

    async def release(self) -> None:
        await self._answer.close()


class Http(Bridge):
    """Requests to web services, within the network policy: public hosts, unless your settings say otherwise."""

    name = "http"
    resources = (HttpStream,)

    def __init__(self, service: HttpService | None = None) -> None:
        self._given = service
        self._service: HttpService | None = None

    async def open(self, session: BridgeSession) -> None:
        # not at the top: it brings httpcore and TLS, and most sessions make no request
        from llmspell_kernel.services.http.service import HttpService

        self._service = self._given or HttpService(
            lambda: session.network, lambda name, host, scheme: session.secrets.value(name, host, scheme=scheme)
        )

    async def close(self) -> None:
        if self._service is not None:
            await self._service.close()

    @method(level="network")
    async def get(self, ctx: Context, url: str, options: RequestOptions | None = None) -> dict[str, Any]:
        """Ask for what is at a URL: `{status, ok, url, headers, text, redirects}`.

        - url: `https://host/path`, or `http://`
        - options: headers, query, auth (the name of a secret), timeout_s, redirects, max_bytes, binary

        `ok` is true for the statuses 200 to 299; other statuses are answers too, and no errors.  `headers` are by name in lower case; `text` is
        the body, or `bytes` where the option binary is set; `url` is where the answer came from after `redirects` redirects.

        Raises DeniedError for a host that the policy does not allow, LimitError for an answer that is too large, and BridgeError with the
        codes no_such_host, unreachable, timeout, tls, connection_lost and bad_answer; `err.retryable` says whether the same call may work later.
        """
        return await self._call("GET", url, options)

    @method(level="network")
    async def head(self, ctx: Context, url: str, options: RequestOptions | None = None) -> dict[str, Any]:
        """Ask for the status and the headers alone; otherwise as `get`."""
        return await self._call("HEAD", url, options)

    @method(level="network")
    async def post(self, ctx: Context, url: str, options: RequestOptions | None = None) -> dict[str, Any]:
        """Send something: one of the options json, form and body; otherwise as `get`."""
        return await self._call("POST", url, options)

    @method(level="network")
    async def put(self, ctx: Context, url: str, options: RequestOptions | None = None) -> dict[str, Any]:
        """Send what is to stand at a URL; otherwise as `post`."""
        return await self._call("PUT", url, options)

    @method(level="network")
    async def patch(self, ctx: Context, url: str, options: RequestOptions | None = None) -> dict[str, Any]:
        """Send a change of what stands at a URL; otherwise as `post`."""
        return await self._call("PATCH", url, options)

    @method(level="network")
    async def delete(self, ctx: Context, url: str, options: RequestOptions | None = None) -> dict[str, Any]:
        """Delete what stands at a URL; otherwise as `get`."""
        return await self._call("DELETE", url, options)

    @method(level="network")
    async def request(self, ctx: Context, url: str, options: RequestOptions | None = None) -> dict[str, Any]:
        """Any request: the option method says which, GET where there is none; otherwise as `post`."""
        return await self._call((options or NO_OPTIONS).method or "GET", url, options, named=True)

    @method(level="network")
    async def json(self, ctx: Context, url: str, options: RequestOptions | None = None) -> Any:
        """Ask for a JSON document and take its value; a status that is not ok is an error here.

        The request is a GET, a POST where there is a body, or what the option method says.  Errors as for `get`, and BridgeError with the code
        http_status for another status, bad_answer for what is no JSON.
        """
        from llmspell_kernel.services.http.text import json_of

        options = options or NO_OPTIONS
        answer = await self._send(options.method or ("GET" if options.body_is_missing else "POST"), url, options)
        if not _is_ok(answer.status):
            raise BridgeError(
                f"{answer.url.shown} answered with the status {answer.status}",
                retryable=answer.status in WORTH_TRYING_AGAIN,
                code="http_status",
            )
        return json_of(answer.body, answer.headers.get("content-type", ""), answer.url.shown)

    @method(level="network")
    async def stream(self, ctx: Context, url: str, options: RequestOptions | None = None) -> HttpStream:
        """Ask, and take the answer piece by piece: loop over the result.

        The option method says which request, GET where there is none.  timeout_s is for the head of the answer and then for each piece; max_bytes
        and the settings limit the whole.  Errors as for `get`, also where the pieces are read.
        """
        options = options or NO_OPTIONS
        return HttpStream(await self._ready().open(options.method or "GET", url, options), binary=options.binary)

    @method
    async def clear_cookies(self, ctx: Context) -> None:
        """Forget the cookies that servers have set in this session."""
        self._ready().cookies.clear()

    async def _call(self, verb: str, url: str, options: RequestOptions | None, *, named: bool = False) -> dict[str, Any]:
        options = options or NO_OPTIONS
        if options.method is not None and not named:
            raise ArgumentError(f"http.{verb.lower()} is a {verb} request; leave the option method out, or call http.request")
        return _told(await self._send(verb, url, options), binary=options.binary)

    async def _send(self, verb: str, url: str, options: RequestOptions) -> Answer:
        return await self._ready().call(verb, url, options)

    def _ready(self) -> HttpService:
        assert self._service is not None, "the session opens a bridge before its first call"
        return self._service


def _is_ok(status: int) -> bool:
    return 200 <= status < 300


def _told(answer: Answer, *, binary: bool) -> dict[str, Any]:
    from llmspell_kernel.services.http.text import text_of

    body = {"bytes": answer.body} if binary else {"text": text_of(answer.body, answer.headers.get("content-type", ""))}
    return {
        "status": answer.status,
        "ok": _is_ok(answer.status),
        "url": answer.url.text,
        "headers": dict(answer.headers),
        "redirects": answer.hops,
        **body,
    }
