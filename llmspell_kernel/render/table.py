"""A list of records as a table, in HTML and as aligned text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from ..values import Value
from .budget import CUT_HTML, MAX_PLAIN_CHARS, Budget
from .pretty import inline, scalar
from .text import clean, clean_clipped, clip, escape, plural, width

MAX_ROWS = 1_000
MAX_COLUMNS = 100
MAX_CELL_CHARS = 1_000
MAX_PLAIN_CELL_CHARS = 60
_BORDER = "border:1px solid rgba(127,127,127,.35);padding:2px 8px;vertical-align:top"
_ABSENT = object()


class _Columns(NamedTuple):
    shown: list[str]
    hidden: int


def is_records(value: Value) -> TypeGuard[list[dict[str, Any]]]:
    """A non-empty list of dicts of which one at least has a key."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value) and any(value)


def table_html(records: Sequence[Mapping[str, Any]], budget: Budget) -> str:
    columns, rows = _columns(records), records[:MAX_ROWS]
    numeric = {key for key in columns.shown if _all_numbers(row[key] for row in rows if key in row)}
    head = "".join(_cell("th", escape(clip(key, MAX_CELL_CHARS)), right=key in numeric) for key in columns.shown)
    opening = f'<table class="mathjax_ignore" style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>'
    if not budget.take(opening):
        return CUT_HTML
    out, shown = [opening], 0
    for row in rows:
        line = "<tr>" + "".join(_value_cell(row.get(key, _ABSENT)) for key in columns.shown) + "</tr>"
        if not budget.take(line):
            break
        out.append(line)
        shown += 1
    out.append("</tbody></table>")
    out.extend(f"<p><em>{line}</em></p>" for line in _notices(len(records) - shown, len(records), columns.hidden))
    if budget.full:
        out.append(CUT_HTML)
    return "".join(out)


def table_plain(records: Sequence[Mapping[str, Any]]) -> str:
    columns, rows = _columns(records), records[:MAX_ROWS]
    cells = [[_plain_cell(row.get(key, _ABSENT)) for key in columns.shown] for row in rows]
    heads = [_one_line(clip(key, MAX_PLAIN_CELL_CHARS)) for key in columns.shown]
    widths = [max(width(head), *(width(line[index]) for line in cells)) for index, head in enumerate(heads)]
    right = [[_is_number(row.get(key)) for key in columns.shown] for row in rows]
    numeric = [_all_numbers(row[key] for row in rows if key in row) for key in columns.shown]
    lines = [_plain_line(heads, widths, numeric), _plain_line(["-" * size for size in widths], widths, numeric)]
    room = MAX_PLAIN_CHARS - sum(map(len, lines))
    shown = 0
    for line, sides in zip(cells, right, strict=True):
        text = _plain_line(line, widths, sides)
        room -= len(text) + 1
        if room < 0:
            break
        lines.append(text)
        shown += 1
    return "\n".join([*lines, *_notices(len(records) - shown, len(records), columns.hidden)])


def _columns(records: Sequence[Mapping[str, Any]]) -> _Columns:
    """First-seen order over the rows that are shown."""
    keys = list(dict.fromkeys(str(key) for row in records[:MAX_ROWS] for key in row))
    return _Columns(keys[:MAX_COLUMNS], max(0, len(keys) - MAX_COLUMNS))


def _notices(rows_hidden: int, rows: int, columns_hidden: int) -> list[str]:
    out = []
    if rows_hidden:
        out.append(f"… {plural(rows_hidden, 'more row')} not shown ({rows:,} in all)")
    if columns_hidden:
        out.append(f"… {plural(columns_hidden, 'more column')} not shown")
    return out


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _all_numbers(values: Iterable[object]) -> bool:
    found = [value for value in values if value is not None]
    return bool(found) and all(map(_is_number, found))


def _text(value: object, limit: int) -> str:
    if value is _ABSENT:
        return ""
    if isinstance(value, str):
        return clean_clipped(value, limit)
    return clip(scalar(value, limit=limit) or inline(value, limit), limit)


def _value_cell(value: object) -> str:
    return _cell("td", escape(_text(value, MAX_CELL_CHARS)), right=_is_number(value))


def _cell(tag: str, content: str, *, right: bool) -> str:
    return f'<{tag} style="{_BORDER};text-align:{"right" if right else "left"};white-space:pre-wrap">{content}</{tag}>'


def _one_line(text: str) -> str:
    return " ".join(clean(text).split("\n")).replace("\t", " ")


def _plain_cell(value: object) -> str:
    return clip(_one_line(_text(value, MAX_PLAIN_CELL_CHARS + 1)), MAX_PLAIN_CELL_CHARS)


def _plain_line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        " " * (size - width(cell)) + cell if is_right else cell + " " * (size - width(cell))
        for cell, size, is_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()
