"""Rows as a table, in HTML and as aligned text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple, TypeGuard

from ..values import Value
from .budget import CUT_HTML, MAX_PLAIN_CHARS, Budget
from .pretty import inline, scalar, short_number
from .text import clean, clean_clipped, clip, escape, plural, width

MAX_ROWS = 1_000
MAX_COLUMNS = 100
MAX_CELL_CHARS = 1_000
MAX_PLAIN_CELL_CHARS = 60
NO_ROWS = "(no rows)"
_BORDER = "border:1px solid rgba(127,127,127,.35);padding:2px 8px;vertical-align:top"
Shares = Sequence[Sequence[float | None]]
"""By row and column, from 0 to 1: the better, the greener is the ground of a value, whose text says the same.  Every theme shines through."""
_ABSENT = object()
"""Stands in a cell for which its row has nothing, which is not the same as null."""


class Grid(NamedTuple):
    """As much of the rows as is ever shown, each as long as the longest.  `heads` None = rows without names for their columns."""

    heads: Sequence[str] | None
    rows: Sequence[Sequence[object]]
    row_count: int
    hidden_columns: int

    def columns(self) -> list[list[object]]:
        count = len(self.heads) if self.heads is not None else len(self.rows[0]) if self.rows else 0
        return [[row[index] for row in self.rows if row[index] is not _ABSENT] for index in range(count)]


def is_records(value: Value) -> TypeGuard[list[dict[str, Any]]]:
    """A non-empty list of dicts of which one at least has a key."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value) and any(value)


def grid_of(rows: Sequence[Any], columns: Sequence[str] | None = None) -> Grid:
    """Rows that are all objects, with the keys to show, or all lists, with the names of their columns; None = as they come."""
    if any(isinstance(row, list) and row for row in rows):
        return _grid_of_lists(rows, columns)
    keys = columns if columns is not None else _keys(rows)
    shown = [str(key) for key in keys[:MAX_COLUMNS]]
    cells = [[row.get(key, _ABSENT) if isinstance(row, Mapping) else _ABSENT for key in shown] for row in rows[:MAX_ROWS]]
    return Grid(shown, cells, len(rows), len(keys) - len(shown))


def table_html(grid: Grid, budget: Budget, null: str = "null", shares: Shares = ()) -> str:
    opening = f'<table class="mathjax_ignore" style="border-collapse:collapse">{_head_html(grid)}<tbody>'
    if not budget.take(opening):
        return CUT_HTML
    out, shown = [opening], 0
    for row, row_shares in zip_longest(grid.rows, shares[: len(grid.rows)], fillvalue=()):
        line = "<tr>" + "".join(_value_cell(cell, null, share) for cell, share in zip_longest(row, row_shares[: len(row)])) + "</tr>"
        if not budget.take(line):
            break
        out.append(line)
        shown += 1
    out.append("</tbody></table>")
    out.extend(f'<div style="margin:2px 0"><em>{line}</em></div>' for line in _notices(grid, shown))
    if budget.full:
        out.append(CUT_HTML)
    return "".join(out)


def table_plain(grid: Grid, null: str = "null") -> str:
    cells = [[_plain_cell(cell, null) for cell in row] for row in grid.rows]
    heads = None if grid.heads is None else [_one_line(clip(head, MAX_PLAIN_CELL_CHARS)) for head in grid.heads]
    columns = grid.columns()
    widths = [
        max([width(line[index]) for line in cells] + ([width(heads[index])] if heads is not None else [0])) for index in range(len(columns))
    ]
    numeric = [_all_numbers(column) for column in columns]
    lines = [] if heads is None else [_plain_line(heads, widths, numeric), _plain_line(["-" * size for size in widths], widths, numeric)]
    room = MAX_PLAIN_CHARS - sum(map(len, lines))
    shown = 0
    for row, line in zip(grid.rows, cells, strict=True):
        text = _plain_line(line, widths, [_is_number(cell) for cell in row])
        room -= len(text) + 1
        if room < 0:
            break
        lines.append(text)
        shown += 1
    return "\n".join([*lines, *_notices(grid, shown)])


def _grid_of_lists(rows: Sequence[Sequence[Any]], names: Sequence[str] | None) -> Grid:
    longest = max(len(names or ()), *(len(row) for row in rows))
    count = min(longest, MAX_COLUMNS)
    cells = [[*list(row)[:count], *[_ABSENT] * (count - len(row))] for row in rows[:MAX_ROWS]]
    heads = None if names is None else [*names[:count], *[""] * (count - len(names))]
    return Grid(heads, cells, len(rows), longest - count)


def _keys(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """First-seen order over the rows that are shown."""
    return list(dict.fromkeys(str(key) for row in records[:MAX_ROWS] for key in row))


def _head_html(grid: Grid) -> str:
    if grid.heads is None:
        return ""
    right = map(_all_numbers, grid.columns())
    cells = (_cell("th", escape(clip(head, MAX_CELL_CHARS)), right=is_number) for head, is_number in zip(grid.heads, right, strict=True))
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _notices(grid: Grid, rows_shown: int) -> list[str]:
    out = []
    if not grid.row_count:
        out.append(NO_ROWS)
    if hidden := grid.row_count - rows_shown:
        out.append(f"… {plural(hidden, 'more row')} not shown ({grid.row_count:,} in all)")
    if grid.hidden_columns:
        out.append(f"… {plural(grid.hidden_columns, 'more column')} not shown")
    return out


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _all_numbers(values: Iterable[object]) -> bool:
    found = [value for value in values if value is not None]
    return bool(found) and all(map(_is_number, found))


def _text(value: object, limit: int, null: str) -> str:
    if value is _ABSENT:
        return ""
    if isinstance(value, str):
        return clean_clipped(value, limit)
    if isinstance(value, float):
        return short_number(value)
    return clip(scalar(value, null, limit) or inline(value, limit, null), limit)


def _tint(share: float | None) -> str:
    if share is None:
        return ""
    good = min(1.0, max(0.0, share))
    return f";background-color:rgba({207 - 161 * good:.0f},{60 + 100 * good:.0f},{57 + 10 * good:.0f},.25)"


def _value_cell(value: object, null: str, share: float | None = None) -> str:
    text = _text(value, MAX_CELL_CHARS, null)
    # a rounded number is whole where the pointer rests on it
    whole = repr(value) if isinstance(value, float) and repr(value) != text else ""
    return _cell("td", escape(text), right=_is_number(value), title=whole, tint=_tint(share))


def _cell(tag: str, content: str, *, right: bool, title: str = "", tint: str = "") -> str:
    told = f' title="{title}"' if title else ""
    return f'<{tag} style="{_BORDER};text-align:{"right" if right else "left"};white-space:pre-wrap{tint}"{told}>{content}</{tag}>'


def _one_line(text: str) -> str:
    return " ".join(clean(text).split("\n")).replace("\t", " ")


def _plain_cell(value: object, null: str) -> str:
    return clip(_one_line(_text(value, MAX_PLAIN_CELL_CHARS + 1, null)), MAX_PLAIN_CELL_CHARS)


def _plain_line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        " " * (size - width(cell)) + cell if is_right else cell + " " * (size - width(cell))
        for cell, size, is_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()
