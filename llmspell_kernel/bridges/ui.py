"""Bridge `ui`: rich output of the running cell."""

from __future__ import annotations

import msgspec

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.values import Value


class DisplayOptions(msgspec.Struct, frozen=True):
    """How a value is shown.

    - title: a heading above the value
    """

    title: str = ""


_UNTITLED = DisplayOptions()


class Ui(Bridge):
    """Shows values in the output of the running cell."""

    name = "ui"

    @method
    async def display(self, ctx: Context, value: Value, options: DisplayOptions = _UNTITLED) -> None:
        """Shows a value richly: a list of objects as a table, other data as text.

        - value: what to show
        """
        ctx.display(value, title=options.title)

    @method
    async def write(self, ctx: Context, text: str) -> None:
        """Write text to the output as it is, without a line end: for an answer that comes in pieces.

        - text: what to write
        """
        ctx.write("stdout", text)

    @method
    async def clear(self, ctx: Context) -> None:
        """Clears what the cell has shown so far."""
        ctx.clear()
