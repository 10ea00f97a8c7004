"""A cell's results as a MIME bundle: always text/plain, text/html where it shows more.  Scripts choose neither type nor markup."""

from __future__ import annotations

from collections.abc import Sequence

from ..values import EmptyTable, Value
from .budget import MAX_PLAIN_CHARS, Budget
from .pretty import pretty
from .table import grid_of, is_records, table_html, table_plain
from .text import cap_text, clean_capped, escape, plural
from .tree import tree_html

MAX_VALUES = 1_000
MAX_HTML_CHARS = 200_000
"""Of one string among several results: escaped, it is at most six times as long."""


def bundle(values: Sequence[Value], *, null: str = "null") -> dict[str, str] | None:
    """What to show for a cell's results, or None for nothing: no results, or a single null.

    Several results (Lua) of one line each stand on one line, apart by tabs, as Lua's own prompt shows them.  `null` is the language's
    word for None, such as "nil".
    """
    if not values or (len(values) == 1 and values[0] is None):
        return None
    texts = _texts(values, null)
    separator = "\n" if any("\n" in text for text in texts) else "\t"
    data = {"text/plain": cap_text(separator.join([*texts, *_notice(values, texts)]), MAX_PLAIN_CHARS)}
    shown = values[: len(texts)]
    if any(_is_rich(value) for value in shown):
        data["text/html"] = _all_html(shown, texts, null) + "".join(f"<p>{notice}</p>" for notice in _notice(values, texts))
    return data


def plain(value: Value, null: str = "null") -> str:
    """One value as text.  A string is shown as itself, lines and colours kept; a list of records as an aligned table."""
    if isinstance(value, str):
        return clean_capped(value, MAX_PLAIN_CHARS, colour=True)
    if is_records(value):
        return table_plain(grid_of(value), null)
    return pretty(value, null)


def _texts(values: Sequence[Value], null: str) -> list[str]:
    """One text a value, as far as there is room."""
    texts: list[str] = []
    room = MAX_PLAIN_CHARS
    for value in values[:MAX_VALUES]:
        texts.append(plain(value, null))
        # a text of controls alone is shown as nothing, but took its time
        room -= max(len(texts[-1]), min(len(value), MAX_PLAIN_CHARS) if isinstance(value, str) else 0)
        if room < 0:
            break
    return texts


def _notice(values: Sequence[Value], texts: Sequence[str]) -> list[str]:
    hidden = len(values) - len(texts)
    return [f"… {plural(hidden, 'more result')} not shown"] if hidden else []


def _all_html(values: Sequence[Value], texts: Sequence[str], null: str) -> str:
    budget = Budget()
    out = []
    for value, text in zip(values, texts, strict=True):
        out.append(_html(value, text, budget, null))
        if budget.full:
            break
    return "".join(out)


def _is_rich(value: Value) -> bool:
    return isinstance(value, (list, dict)) and bool(value) and not isinstance(value, EmptyTable)


def _html(value: Value, text: str, budget: Budget, null: str) -> str:
    if is_records(value):
        return table_html(grid_of(value), budget, null)
    if _is_rich(value):
        return tree_html(value, budget, null)
    line = f'<pre style="white-space:pre-wrap">{escape(cap_text(text, MAX_HTML_CHARS))}</pre>'
    return line if budget.take(line) else ""
