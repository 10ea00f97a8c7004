"""The bridge `mcp`: servers of the Model Context Protocol, whose tools become tools of the session."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from llmspell_kernel.errors import BridgeError, ConfigError, DeniedError, LimitError, ScriptError, SpellError

from ._bridge import Bridge, BridgeSession, Context, method

if TYPE_CHECKING:
    from llmspell_kernel.services.tools.mcp_servers import McpServers

Server = Annotated[str, Meta(description="its name in the settings, `[mcp.NAME]`; without it, all of them")]


class Mcp(Bridge):
    """MCP servers: programs and services whose tools scripts and agents may call.  Your own settings declare them, as `[mcp.NAME]`."""

    name = "mcp"

    def __init__(self) -> None:
        self._declared: Mapping[str, Any] = {}
        self._servers: McpServers | None = None

    def configure(self, settings: Mapping[str, Any]) -> None:
        self._declared = settings.get("mcp", {})

    async def open(self, session: BridgeSession) -> None:
        self._session = session
        self._declared = session.settings.get("mcp", {})

    async def close(self) -> None:
        if self._servers is not None:
            await self._servers.close()

    @method
    async def servers(self, ctx: Context) -> Sequence[str]:
        """The names of the servers that the settings declare, sorted; none is started."""
        return sorted(self._declared)

    @method(level="dangerous", replay="again")
    async def load(self, ctx: Context, server: Server = "") -> Sequence[str]:
        """Starts a server, and makes its tools tools of this session, called `SERVER_tool`: their names, for `tools.call` and agents.

        A server that runs already is asked anew what it offers. It ends with the session.  Of all servers, one that does not start is a warning,
        and its tools are left out; only where none starts it is an error.

        Raises ScriptError with the code unknown for a server that is not declared, BridgeError with the code mcp_start for one that does
        not start, LimitError for one that takes longer than its start_s.
        """
        names = [server] if server else await ctx.call("mcp", "servers")
        faults: list[SpellError] = []
        offered = []
        for name in names:
            try:
                offered += await ctx.call("mcp", "offered", name)
            except (ScriptError, BridgeError, ConfigError, DeniedError, LimitError) as error:
                faults.append(error)
        if faults and len(faults) == len(names):
            raise faults[0]
        for fault in faults:
            ctx.log("warn", f"mcp.load: {fault.message}", {"code": fault.code})
        for tool in offered:
            await ctx.call("tools", "provide", tool, "mcp", "use", [tool["name"]])
        return [tool["name"] for tool in offered]

    @method(inner=True)
    async def offered(self, ctx: Context, server: str) -> Sequence[dict[str, Any]]:
        """What a server offers, as `tools.provide` takes it."""
        servers = await self._ready()
        timeout_s = servers.longest_s(server)
        return [{**spec.table(), "timeout_s": timeout_s} for spec in await servers.offered(server)]

    @method(inner=True)
    async def use(self, ctx: Context, name: str, arguments: dict[str, Any]) -> Any:
        """Calls a tool of a server; who asks has checked the arguments, and that it may."""
        return await (await self._ready()).call(name, arguments)

    async def _ready(self) -> McpServers:
        """Those of the settings as they are now."""
        # not at the top: it brings much, and most sessions have no server
        from llmspell_kernel.services.tools.mcp_servers import McpServers

        if self._servers is None or self._servers.declared != self._declared:
            before, self._servers = self._servers, McpServers(self._declared, self._secret, os.environ)
            if before is not None:
                await before.close()
        return self._servers

    def _secret(self, name: str, host: str, scheme: str) -> str:
        return self._session.secrets.value(name, host, scheme=scheme)
