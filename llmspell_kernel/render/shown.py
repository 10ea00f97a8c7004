"""What a bridge shows as a MIME bundle: always text/plain, text/html where it shows more."""

from __future__ import annotations

from typing import assert_never

from ..shown import Data, Markdown, Matrix, Progress, Shown, Table, Tree
from ..values import Value
from .budget import MAX_PLAIN_CHARS, Budget
from .pretty import pretty
from .progress import progress_html, progress_plain
from .table import grid_of, table_html, table_plain
from .text import clean_capped, clean_clipped, escape
from .tree import tree_html
from .values import bundle

MAX_TITLE_CHARS = 1_000


def shown_bundle(shown: Shown, null: str = "null") -> dict[str, str]:
    """`null` is the language's word for None, such as "nil"."""
    match shown:
        case Data(value, title):
            return _titled(title, _data(value, null))
        case Markdown(text):
            from .markdown import markdown_html  # 13 ms that only those who use it pay

            return {"text/html": markdown_html(text), "text/plain": clean_capped(text, MAX_PLAIN_CHARS, colour=True)}
        case Table(rows, columns, title):
            grid = grid_of(rows, columns)
            return _titled(title, {"text/html": table_html(grid, Budget(), null), "text/plain": table_plain(grid, null)})
        case Matrix(columns, rows, shares, title):
            grid = grid_of(rows, columns)
            return _titled(title, {"text/html": table_html(grid, Budget(), null, shares), "text/plain": table_plain(grid, null)})
        case Tree(value, title, open_levels):
            html = tree_html(value, Budget(), null, open_levels=open_levels)
            return _titled(title, {"text/html": html, "text/plain": pretty(value, null)})
        case Progress():
            return {"text/html": progress_html(shown), "text/plain": progress_plain(shown)}
    assert_never(shown)


def _data(value: Value, null: str) -> dict[str, str]:
    return bundle([value], null=null) or {"text/plain": null}


def _titled(title: str, data: dict[str, str]) -> dict[str, str]:
    """The title as a line above the text and, where there is HTML, above that."""
    shown = clean_clipped(title, MAX_TITLE_CHARS).strip()
    if not shown:
        return data
    titled = {**data, "text/plain": f"{shown}\n{data['text/plain']}"}
    if "text/html" in data:
        titled["text/html"] = f'<div style="font-weight:600;margin:4px 0 2px">{escape(shown)}</div>{data["text/html"]}'
    return titled
