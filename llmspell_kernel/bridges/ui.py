"""Bridge `ui`: rich output of the running cell."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from llmspell_kernel import Bridge, Context, Resource, method
from llmspell_kernel.errors import ArgumentError, nearest
from llmspell_kernel.shown import Data, Markdown, Progress, Table, Tree
from llmspell_kernel.values import Value

MAX_LABEL_CHARS = 1_000
"""Of a progress bar's label and text, which are sent again with each of its states."""


class DisplayOptions(msgspec.Struct, frozen=True):
    """How a value is shown.

    - title: a heading above the value
    """

    title: str = ""


class TableOptions(msgspec.Struct, frozen=True):
    """How a table is shown.

    - columns: which keys of the objects to show, in this order; above rows that are lists, the heads of their columns
    - title: a heading above the table
    """

    columns: list[str] | None = None
    title: str = ""


class JsonOptions(msgspec.Struct, frozen=True):
    """How nested data is shown.

    - title: a heading above the data
    - depth: how many levels are unfolded at first
    """

    title: str = ""
    depth: Annotated[int, msgspec.Meta(ge=0)] = 1


class ProgressOptions(msgspec.Struct, frozen=True):
    """What a progress bar says.

    - label: what is being done
    """

    label: str = ""


_UNTITLED = DisplayOptions()
_WHOLE_TABLE = TableOptions()
_ONE_LEVEL = JsonOptions()
_UNLABELLED = ProgressOptions()


class ProgressBar(Resource):
    """A line that shows how far a piece of work has come, and stays when it ends."""

    type = "ui.progress_bar"

    def __init__(self, ctx: Context, total: float | None, label: str) -> None:
        self._ctx = ctx
        self._state = Progress(bar=ctx.call_id, done=0, total=total, label=label[:MAX_LABEL_CHARS])
        ctx.show(self._state)

    @method(replay="call")
    async def advance(self, ctx: Context, n: int | float = 1) -> None:
        """Counts `n` more as done.

        - n: how much more
        """
        self._change(ctx, self._state.done + n, self._state.text)

    @method(replay="call")
    async def update(self, ctx: Context, done: int | float, text: str | None = None) -> None:
        """Says how much is done in all, and what is being done.

        - done: how much is done since the start
        - text: a word beside the bar; left out, the last one stays
        """
        self._change(ctx, done, self._state.text if text is None else text[:MAX_LABEL_CHARS])

    @method(replay="call")
    async def close(self, ctx: Context) -> None:
        """Ends the bar; it stays in the output as it is."""
        self._ctx = ctx

    async def release(self) -> None:
        self._state = msgspec.structs.replace(self._state, ended=True)
        self._ctx.show(self._state)

    def _change(self, ctx: Context, done: float, text: str) -> None:
        if done < 0:
            raise ArgumentError(f"{self.type}: {done:g} done is less than nothing")
        self._ctx = ctx  # a bar may be moved on by a later cell, and is then shown there
        self._state = msgspec.structs.replace(self._state, done=done, text=text)
        ctx.show(self._state)


class Ui(Bridge):
    """Shows values in the output of the running cell."""

    name = "ui"
    resources = (ProgressBar,)

    @method(replay="call")
    async def display(self, ctx: Context, value: Value = None, options: DisplayOptions = _UNTITLED) -> None:
        """Shows a value richly: a list of objects as a table, other data as text.

        - value: what to show
        """
        ctx.show(Data(value, options.title))

    @method(replay="call")
    async def markdown(self, ctx: Context, text: str) -> None:
        """Shows Markdown: headings, lists, emphasis, code, tables and links.  HTML in it stays text, and no picture is loaded.

        - text: the Markdown
        """
        ctx.show(Markdown(text))

    @method(replay="call")
    async def table(self, ctx: Context, rows: list[Any], options: TableOptions = _WHOLE_TABLE) -> None:
        """Shows rows as a table.

        - rows: a list of objects, or a list of lists
        """
        columns = options.columns
        if _all_objects(rows):
            _check_keys(rows, columns)
        else:
            _check_lengths(rows, columns)
        ctx.show(Table(rows, columns, options.title))

    @method(replay="call")
    async def json(self, ctx: Context, value: Value = None, options: JsonOptions = _ONE_LEVEL) -> None:
        """Shows nested data as a tree to fold and unfold.

        - value: what to show
        """
        ctx.show(Tree(value, options.title, options.depth))

    @method(replay="call")
    async def progress(self, ctx: Context, total: int | float | None = None, options: ProgressOptions = _UNLABELLED) -> ProgressBar:
        """Shows a progress bar; move it on with `advance` or `update`, end it with `close`.

        - total: how much there is to do; nothing where that is not known
        """
        if total is not None and total < 0:
            raise ArgumentError(f"ui.progress: argument 1 (total) must be at least 0, not {total:g}")
        return ProgressBar(ctx, total, options.label)

    @method(replay="call")
    async def write(self, ctx: Context, text: str) -> None:
        """Write text to the output as it is, without a line end: for an answer that comes in pieces.

        - text: what to write
        """
        ctx.write("stdout", text)

    @method(replay="call")
    async def clear(self, ctx: Context) -> None:
        """Clears what the cell has shown so far."""
        ctx.clear()


def _all_objects(rows: list[Any]) -> bool:
    """Are the rows objects, rather than lists?  Raises ArgumentError for a row that is neither, or not as the others."""
    if set(map(type, rows)) == {dict}:  # as most are, also hundreds of thousands
        return True
    kinds = {True: ("an object", "objects"), False: ("a list", "lists")}
    first: bool | None = None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, (dict, list)):
            raise ArgumentError(f"ui.table: row {number} must be an object or a list, not {_named(row)}")
        if not row:
            continue  # an empty Lua table is as good a list as it is an object
        if first is None:
            first = isinstance(row, dict)
        elif isinstance(row, dict) is not first:
            raise ArgumentError(f"ui.table: row {number} is {kinds[not first][0]}, but the rows before it are {kinds[first][1]}")
    return first is not False


def _check_keys(rows: list[dict[str, Any]], columns: list[str] | None) -> None:
    if not columns:
        return
    keys = set[str]().union(*rows)  # once: to look for each of ten thousand columns in each row takes an hour
    missing = [column for column in columns if column not in keys]
    if missing and keys:
        known = list(dict.fromkeys(key[:80] for row in rows[:1_000] for key in row))[:200]
        raise ArgumentError(f"ui.table: no row has the column '{missing[0][:80]}'{nearest(missing[0][:80], known)}")


def _check_lengths(rows: list[list[Any]], columns: list[str] | None) -> None:
    if columns is None:
        return
    for number, row in enumerate(rows, 1):
        if len(row) > len(columns):
            raise ArgumentError(f"ui.table: row {number} has more values ({len(row)}) than there are columns ({len(columns)})")


def _named(value: Value) -> str:
    names = {str: "a string", bool: "a boolean", int: "a number", float: "a number", bytes: "bytes", type(None): "nothing"}
    return names.get(type(value), "that")
