"""MCP servers as tools: those that the settings declare, started when they are first asked for, and stopped with the session.

Rules
- What a server says is a stranger's: its tools are counted and clipped, its schemas no larger than a schema may be, and nothing of it is checked by
  the package mcp, whose validation is not bounded; whoever calls a tool checks arguments and result.
- Its schemas are checked in a thread: all of them within MAX_SCHEMAS_BYTES and SCHEMAS_S.
- A server that does not start, or lists nothing in time, says which one it is and why, takes no other with it, and the next call tries it again.
- A server that has ended is started anew by the next call.
- No server may ask a model, the user or for files: the client offers none of that.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from llmspell_kernel.errors import BridgeError, ConfigError, LimitError, ScriptError, SpellError, nearest
from llmspell_kernel.values import Value

from ..schema.sizes import text_bytes
from .mcp_http import bounded_client
from .mcp_process import Program
from .mcp_settings import McpServer, WrongServer, check_server_name, server_of
from .mcp_sizes import MAX_MESSAGE_BYTES
from .tool import ToolSpec

MAX_TOOLS = 200
"""Of one server."""
MAX_PAGES = 20
MAX_SCHEMAS_BYTES = 2_000_000
"""Of all schemas of a server together, as JSON."""
SCHEMAS_S = 10.0
"""For checking them."""
DESCRIPTION_CHARS = 4_000
MESSAGE_CHARS = 2_000
NAME_CHARS = 64
"""The longest name of a tool that all models take."""
CLOSE_S = 5.0
SLACK_S = 5.0
"""By so much the package's own timeouts are longer than ours, which say what was waited for."""
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_NEW_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
Secret = Callable[[str, str, str], str]
"""`secret(name, host, scheme)` gives the value of a secret for a host, or raises why not."""


class Remote(NamedTuple):
    """A tool of a server: what its callers know, and how the server calls it."""

    spec: ToolSpec
    name: str
    is_wrapped: bool
    """Is its value the only member, `result`, of what the server answers?"""


class McpServers:
    """All servers of the settings.  `declared` is `[mcp]`; raises ConfigError for what is wrong with it."""

    def __init__(self, declared: Mapping[str, Any], secret: Secret, environ: Mapping[str, str]) -> None:
        self.declared = declared
        self._servers = {name: _Connection(name, settings, secret, environ) for name, settings in servers_of(declared).items()}

    async def offered(self, server: str) -> Sequence[ToolSpec]:
        """The tools of one server, which is started where it does not run.

        Raises ScriptError for a server that is not declared, BridgeError (mcp_start), ConfigError and LimitError where it does not start.
        """
        return [remote.spec for remote in (await self._server(server).tools(anew=True)).values()]

    def longest_s(self, server: str) -> float:
        """How long a call may take, where the server has to be started for it."""
        settings = self._server(server).settings
        return settings.start_s + settings.timeout_s

    async def call(self, name: str, args: dict[str, Value]) -> Value:
        """What a tool gives; `name` as `offered` has it.

        Raises ScriptError with the codes unknown and unknown_tool, BridgeError with mcp_start, mcp_lost and tool_failed, and LimitError where
        it takes too long.
        """
        return await self._server(name.partition("_")[0]).call(name, args)

    async def close(self) -> None:
        """Ends every server; what does not end by itself is killed."""
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    def _server(self, name: str) -> _Connection:
        found = self._servers.get(name)
        if found is None:
            shown = name[:NAME_CHARS]
            hint = nearest(shown, list(self._servers)) or f"; declare it in your own settings: [mcp.{shown}]"
            raise ScriptError(f"there is no MCP server '{shown}'{hint}", code="unknown")
        return found


def servers_of(declared: Mapping[str, Any]) -> dict[str, McpServer]:
    """What the settings declare, by name.  Raises ConfigError."""
    found = {}
    for name, table in declared.items():
        try:
            check_server_name(name)
            found[name] = server_of(table)
        except WrongServer as error:
            raise ConfigError(str(error), key=f"mcp.{name}") from None
    return found


class _Connection:
    """One server.  Its client lives in a task of its own, since it must be left where it was entered."""

    def __init__(self, name: str, settings: McpServer, secret: Secret, environ: Mapping[str, str]) -> None:
        self._name = name
        self.settings = settings
        self._secret = secret
        self._environ = environ
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._client: Any = None
        self._tools: dict[str, Remote] = {}
        self._program: Program | None = None
        self._is_lost = False
        self._is_closed = False

    async def tools(self, *, anew: bool = False) -> dict[str, Remote]:
        """By the names of their specs; `anew` asks a server that runs already once more.

        Raises BridgeError, ConfigError, LimitError where the server does not start.
        """
        was_running = await self._started()
        if anew and was_running:
            try:
                async with asyncio.timeout(self.settings.start_s):
                    self._tools = await self._offered(self._client)
            except SpellError:
                raise
            except Exception as error:
                raise self._failed(f"the list of tools of the MCP server '{self._name}'", error) from error
        return self._tools

    async def call(self, name: str, args: dict[str, Value]) -> Value:
        tools = await self.tools()
        remote = tools.get(name)
        if remote is None:
            raise ScriptError(
                f"the MCP server '{self._name}' offers no tool '{name[:NAME_CHARS]}'{nearest(name, list(tools))}", code="unknown_tool"
            )
        timeout_s = self.settings.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._client.call_tool(remote.name, args)
        except TimeoutError:
            raise LimitError(f"{name}: no answer within {timeout_s:g} s", limit=f"mcp.{self._name}.timeout_s", value=timeout_s) from None
        except Exception as error:
            raise self._failed(name, error) from error
        return _value_of(answer, remote)

    async def close(self) -> None:
        self._is_closed = True
        if self._task is not None and self._client is None:  # it still starts, and nobody waits for that any more
            self._task.cancel()
        async with self._turn:
            await self._ended()

    async def _started(self) -> bool:
        """Did it run already?"""
        async with self._turn:
            if self._is_closed:
                raise self._stopped()
            if self._task is not None and not self._task.done() and not self._is_lost and not self._has_ended:
                return True
            await self._ended()
            self._is_lost = False
            self._stop = asyncio.Event()
            ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            ready.add_done_callback(_looked_at)
            self._task = asyncio.create_task(self._live(ready), name=f"mcp {self._name}")
            start_s = self.settings.start_s
            try:
                async with asyncio.timeout(start_s):
                    await asyncio.shield(ready)
            except TimeoutError:
                await self._ended(at_once=True)
                told = self._told()
                raise LimitError(
                    f"the MCP server '{self._name}' was not ready within {start_s:g} s{told}",
                    limit=f"mcp.{self._name}.start_s",
                    value=start_s,
                ) from None
            except asyncio.CancelledError:
                await self._ended(at_once=True)
                raise
            return False

    async def _live(self, ready: asyncio.Future[None]) -> None:
        try:
            async with AsyncExitStack() as stack:
                client = await stack.enter_async_context(self._new_client())
                # results are checked by whoever asked, within bounds; the package's own check has none
                client.session.validate_tool_result = _not_checked
                self._client, self._tools = client, await self._offered(client)
                if not ready.done():
                    ready.set_result(None)
                await self._stop.wait()
        except asyncio.CancelledError:
            if not ready.done():
                ready.set_exception(self._stopped())
            raise
        except BaseException as error:  # also groups of errors, as anyio raises them
            if ready.done():
                return  # a server that fails while it is stopped has nothing to tell any more
            ready.set_exception(self._start_failure(error))

    def _new_client(self) -> Any:
        try:
            from mcp import Client
            from mcp.client.streamable_http import streamable_http_client
        except ImportError:
            raise ConfigError(
                f"the MCP server '{self._name}' needs the package mcp: pip install 'mcp>=2.3'", key=f"mcp.{self._name}"
            ) from None
        settings = self.settings
        if settings.command:
            self._program = Program(settings.command, settings.env, self._environ)
            return Client(self._program.talk(), read_timeout_seconds=settings.timeout_s + SLACK_S, cache=None)
        http = bounded_client(self._headers(), settings.timeout_s + SLACK_S)
        transport = streamable_http_client(settings.url, http_client=http, max_sse_event_size=MAX_MESSAGE_BYTES)
        return _Closing(Client(transport, read_timeout_seconds=settings.timeout_s + SLACK_S, cache=None), http)

    def _headers(self) -> dict[str, str]:
        if not self.settings.auth:
            return {}
        parts = urlsplit(self.settings.url)
        return {"authorization": f"Bearer {self._secret(self.settings.auth, parts.netloc, parts.scheme)}"}

    async def _offered(self, client: Any) -> dict[str, Remote]:
        tools: dict[str, Remote] = {}
        work = _SchemaWork(self._name)
        cursor = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            try:
                await asyncio.to_thread(_add, tools, self._name, self.settings, page.tools, work)
            finally:
                work.is_given_up = True  # where nobody waits for the thread any more
            work.is_given_up = False
            if len(tools) == MAX_TOOLS:
                break
            cursor = page.next_cursor
            if cursor is None:
                break
        return tools

    async def _ended(self, *, at_once: bool = False) -> None:
        task, self._task, self._client, self._tools = self._task, None, None, {}
        if task is None:
            return
        self._stop.set()
        if not at_once:
            await asyncio.wait({task}, timeout=CLOSE_S)
        task.cancel()
        await asyncio.wait({task}, timeout=CLOSE_S)
        if task.done():
            _looked_at(task)

    def _stopped(self) -> BridgeError:
        return BridgeError(f"the MCP server '{self._name}' was stopped with its session", code="mcp_lost")

    @property
    def _has_ended(self) -> bool:
        return self._program is not None and self._program.ended.is_set()

    def _failed(self, name: str, error: Exception) -> SpellError:
        from mcp.shared.exceptions import MCPError

        told = f"{name}: {_clipped(str(error) or type(error).__name__)}"
        if isinstance(error, MCPError) and not self._has_ended:  # an answer
            return BridgeError(told, code="tool_failed")
        self._is_lost = True
        return BridgeError(
            f"{told}; the connection to the MCP server '{self._name}' is lost{self._told()}", code="mcp_lost", retryable=True
        )

    def _start_failure(self, error: BaseException) -> SpellError:
        if isinstance(error, SpellError):
            return self._named(error)
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, LimitError):
            return self._named(error)
        why = _clipped(str(error) or type(error).__name__)
        return BridgeError(f"the MCP server '{self._name}' could not be started: {why}{self._told()}", code="mcp_start")

    def _named(self, error: SpellError) -> SpellError:
        """With the server's name: of many servers, one did not start."""
        if f"'{self._name}'" not in error.message:
            error.message = f"the MCP server '{self._name}' could not be started: {error.message}; see [mcp.{self._name}] in your settings"
        return error

    def _told(self) -> str:
        said = " ".join(self._program.told.split()) if self._program is not None else ""
        return f"; it said: {said}" if said else ""


class _Closing:
    """A client with the HTTP client that it was given, which it does not close."""

    def __init__(self, client: Any, http: Any) -> None:
        self._client, self._http = client, http

    async def __aenter__(self) -> Any:
        self._stack = AsyncExitStack()
        await self._stack.enter_async_context(self._http)
        try:
            return await self._stack.enter_async_context(self._client)
        except BaseException:
            await self._stack.aclose()
            raise

    async def __aexit__(self, *exc: Any) -> None:
        await self._stack.__aexit__(*exc)


def _looked_at(ended: asyncio.Future[None]) -> None:
    """An error that is told elsewhere, or that nobody waits for, is no warning of asyncio's."""
    if not ended.cancelled():
        ended.exception()


async def _not_checked(name: str, result: Any) -> None:
    """In place of the package's own check of a result."""


class _SchemaWork:
    """What the schemas of a server may still cost."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._left_bytes = MAX_SCHEMAS_BYTES
        self._left_s = SCHEMAS_S
        self.is_given_up = False

    def is_schema(self, document: Any) -> bool:
        """Raises LimitError, naming the server, where all of its schemas are too large or take too long."""
        from ..schema.validation import MAX_SCHEMA_TEXT, Schema  # late: most sessions have no server

        if not isinstance(document, dict) or (size_bytes := text_bytes(document)) > MAX_SCHEMA_TEXT:
            return False
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise self._refused(f"of more than {MAX_SCHEMAS_BYTES:,} bytes", "schemas_bytes", MAX_SCHEMAS_BYTES)
        if self._left_s <= 0 or self.is_given_up:
            raise self._refused(f"that take more than {SCHEMAS_S:g} s to check", "schemas_s", SCHEMAS_S)
        started = time.monotonic()
        try:
            Schema(document)
        except ScriptError:
            return False
        finally:
            self._left_s -= time.monotonic() - started
        return True

    def _refused(self, what: str, limit: str, most: float) -> LimitError:
        told = (
            f"the MCP server '{self._server}' offers tools with schemas {what}; name those that you need by `tools` in [mcp.{self._server}]"
        )
        return LimitError(told, limit=f"mcp.{self._server}.{limit}", value=most)


def _add(tools: dict[str, Remote], server: str, settings: McpServer, page: Sequence[Any], work: _SchemaWork) -> None:
    for tool in page:
        if len(tools) == MAX_TOOLS:
            return
        remote = _remote(server, settings, tool, work)
        if remote is not None:
            tools.setdefault(remote.spec.name, remote)


def _remote(server: str, settings: McpServer, tool: Any, work: _SchemaWork) -> Remote | None:
    """None for a tool that the settings do not offer, or whose schema is none."""
    level = settings.level if settings.tools is None else settings.tools.get(tool.name)
    if level is None or not work.is_schema(tool.input_schema) or tool.input_schema.get("type") != "object":
        return None
    returns = tool.output_schema if tool.output_schema is not None and work.is_schema(tool.output_schema) else None
    is_wrapped = returns is not None and list(returns.get("properties", ())) == ["result"]
    if returns is not None and is_wrapped:
        # what it refers to stays where it was
        returns = {**{key: part for key, part in returns.items() if key == "$defs"}, **_mapping(returns["properties"]["result"])}
    name = f"{server}_{_snake(tool.name)}"[:NAME_CHARS]
    description = _clipped(tool.description or "", DESCRIPTION_CHARS)
    return Remote(ToolSpec(name, description, tool.input_schema, returns, level), tool.name, is_wrapped)


def _snake(name: str) -> str:
    """`getWeather` and `get-weather` as `get_weather`, which every language and every model takes."""
    return _NOT_IN_NAMES.sub("_", _NEW_WORD.sub("_", name[: 2 * NAME_CHARS]).lower()).strip("_")


def _mapping(schema: Any) -> dict[str, Any]:
    return schema if isinstance(schema, dict) else {}


def _value_of(answer: Any, remote: Remote) -> Value:
    """Its structured value, else its texts as one, else all its parts.  Raises BridgeError where the tool says that it failed."""
    texts = [part.text for part in answer.content if part.type == "text"]
    if answer.is_error:
        raise BridgeError(f"{remote.spec.name}: {_clipped(' '.join(texts)) or 'the tool failed and said nothing'}", code="tool_failed")
    if answer.structured_content is not None:
        found = answer.structured_content
        return found["result"] if remote.is_wrapped and isinstance(found, dict) and "result" in found else found
    if len(texts) == len(answer.content):
        return "\n".join(texts)
    return [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in answer.content]


def _clipped(text: str, most: int = MESSAGE_CHARS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
