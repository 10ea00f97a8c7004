"""What a bridge may show in a cell's output, as data: where it goes and how it looks is decided by the sink that gets it.

To add a kind: a class here, a branch in `measured`, and a branch of `render.shown.shown_bundle`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .host_types._crossing import written
from .values import Value


class Data(msgspec.Struct, frozen=True):
    """Any value, shown by its own form: text, a table for a list of objects, else a tree."""

    value: Value
    title: str = ""


class Markdown(msgspec.Struct, frozen=True):
    """Text with marks; HTML in it stays text."""

    text: str


class Table(msgspec.Struct, frozen=True):
    """Rows that are all objects or all lists.  `columns` are the keys to show of objects, or the heads above lists; None = as they come."""

    rows: Sequence[Value]
    columns: Sequence[str] | None = None
    title: str = ""


class Matrix(msgspec.Struct, frozen=True):
    """Rows that are lists under the heads `columns`.  `shares` has a number from 0 to 1 for each value that is one of a whole, as of tests that
    pass, and None for the others: it is seen at a glance how good each is, and the value says it in words."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    shares: Sequence[Sequence[float | None]]
    title: str = ""


class Tree(msgspec.Struct, frozen=True):
    """Nested data to fold and unfold; `open_levels` are unfolded at first."""

    value: Value
    title: str = ""
    open_levels: int = 1


class Progress(msgspec.Struct, frozen=True):
    """How far a piece of work has come.  It takes the place of what was shown before under the same number `bar`.

    `total` None = nobody knows how much there is to do.  Once `ended`, no more follows.
    """

    bar: int
    done: float
    total: float | None = None
    label: str = ""
    text: str = ""
    ended: bool = False


Shown = Data | Markdown | Table | Matrix | Tree | Progress


def measured(shown: Shown) -> tuple[Shown, int]:
    """The same with host types (frames, data classes) as scripts see them, and its size before it is rendered.

    The value is written once for both.  Raises ValueCrossingError for a value that could not be a script's.
    """
    match shown:
        case Data(value, title) | Tree(value, title):
            plain, text = written(value)
            return msgspec.structs.replace(shown, value=plain), len(text) + _bytes(title)
        case Table(rows, columns, title):
            plain, text = written(rows)
            return msgspec.structs.replace(shown, rows=plain), len(text) + sum(map(_bytes, columns or ())) + _bytes(title)
        case Matrix(columns, cells, _, title):
            plain, text = written(cells)
            return msgspec.structs.replace(shown, rows=plain), len(text) + sum(map(_bytes, columns)) + _bytes(title)
        case Markdown(text):
            return shown, _bytes(text)
        case Progress(label=label, text=text):
            return shown, _bytes(label) + _bytes(text)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
