"""Bridge `log`: entries of a script's log."""

from __future__ import annotations

from typing import Any

from llmspell_kernel import Bridge, Context, method


class Log(Bridge):
    """Writes entries to the script's log, which the trace shows."""

    name = "log"

    @method(replay="call")
    async def debug(self, ctx: Context, message: str, fields: dict[str, Any] | None = None) -> None:
        """Logs a detail that matters only while looking for a fault.

        - message: what happened
        - fields: data that belongs to it, by name
        """
        ctx.log("debug", message, fields or {})

    @method(replay="call")
    async def info(self, ctx: Context, message: str, fields: dict[str, Any] | None = None) -> None:
        """Logs something that went as it should.

        - message: what happened
        - fields: data that belongs to it, by name
        """
        ctx.log("info", message, fields or {})

    @method(replay="call")
    async def warn(self, ctx: Context, message: str, fields: dict[str, Any] | None = None) -> None:
        """Logs something that may need a look.

        - message: what happened
        - fields: data that belongs to it, by name
        """
        ctx.log("warn", message, fields or {})

    @method(replay="call")
    async def error(self, ctx: Context, message: str, fields: dict[str, Any] | None = None) -> None:
        """Logs a failure; the script goes on.

        - message: what happened
        - fields: data that belongs to it, by name
        """
        ctx.log("error", message, fields or {})
