"""A cell's results as a MIME bundle: always text/plain, text/html where it shows more.  Scripts choose neither type nor markup."""

from __future__ import annotations

from collections.abc import Sequence

from ..values import EmptyTable, Value
from .budget import MAX_PLAIN_CHARS, Budget
from .pretty import pretty
from .table import is_records, table_html, table_plain
from .text import cap_text, clean, escape
from .tree import tree_html


def bundle(values: Sequence[Value], *, null: str = "null") -> dict[str, str] | None:
    """What to show for a cell's results, or None for nothing: no results, or a single null.

    Several results (Lua) of one line each stand on one line, apart by tabs, as Lua's own prompt shows them.  `null` is the language's
    word for None, such as "nil".
    """
    if not values or (len(values) == 1 and values[0] is None):
        return None
    texts = [plain(value, null) for value in values]
    separator = "\n" if any("\n" in text for text in texts) else "\t"
    data = {"text/plain": cap_text(separator.join(texts), MAX_PLAIN_CHARS)}
    if any(_is_rich(value) for value in values):
        budget = Budget()
        data["text/html"] = "".join(_html(value, text, budget) for value, text in zip(values, texts, strict=True))
    return data


def plain(value: Value, null: str = "null") -> str:
    """One value as text.  A string is shown as itself, lines and colours kept; a list of records as an aligned table."""
    if isinstance(value, str):
        return clean(value, colour=True)
    if is_records(value):
        return table_plain(value)
    return pretty(value, null)


def _is_rich(value: Value) -> bool:
    return isinstance(value, (list, dict)) and bool(value) and not isinstance(value, EmptyTable)


def _html(value: Value, text: str, budget: Budget) -> str:
    if is_records(value):
        return table_html(value, budget)
    if _is_rich(value):
        return tree_html(value, budget)
    line = f'<pre style="white-space:pre-wrap">{escape(value if isinstance(value, str) else text)}</pre>'
    return line if budget.take(line) else ""
