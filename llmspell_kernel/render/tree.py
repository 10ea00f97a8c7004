"""A list or dict as a collapsible tree of <details> elements, which keyboards and screen readers understand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..values import MAX_DEPTH, Value
from .budget import CUT_HTML, Budget
from .pretty import inline, scalar
from .text import clean_capped, clip, escape, plural

MAX_ITEMS = 1_000
MAX_KEY_CHARS = 200
PREVIEW_CHARS = 80
MAX_TEXT_CHARS = 20_000
_MONO = "font-family:monospace;font-size:13px"  # no var(): the sanitizer of untrusted notebooks drops it
_INDENT = "margin-left:1.2em"


def tree_html(value: Value, budget: Budget) -> str:
    """The outermost level is open unless its summary already says all."""
    body = _node("", value, 0, budget, is_open=len(inline(value, PREVIEW_CHARS + 1)) > PREVIEW_CHARS)
    return f'<div class="mathjax_ignore" style="{_MONO}">{body}</div>{CUT_HTML if budget.full else ""}'


def _node(label: str, value: Value, depth: int, budget: Budget, *, is_open: bool = False) -> str:
    if isinstance(value, str):
        text = escape(clean_capped(value, MAX_TEXT_CHARS))
        budget.left -= max(0, min(len(value), MAX_TEXT_CHARS) - len(text))  # a text of controls alone shows nothing, but took its time
        return _leaf(label, f'<span style="white-space:pre-wrap">&quot;{text}&quot;</span>', budget)
    text = scalar(value, limit=MAX_TEXT_CHARS) or ""
    if text or depth >= MAX_DEPTH:
        return _leaf(label, escape(text or "…"), budget)
    is_dict = isinstance(value, dict)
    count = plural(len(value), "key" if is_dict else "item")
    opening = (
        f"<details{' open' if is_open else ''}><summary>{label}{escape(inline(value, PREVIEW_CHARS))} "
        f'<span style="opacity:.65">{count}</span></summary><div style="{_INDENT}">'
    )
    closing = "</div></details>"
    if not budget.take(opening + closing):
        return ""
    return opening + _children(_items(value), len(value), depth, budget) + closing


def _children(items: Iterable[tuple[str, Any]], count: int, depth: int, budget: Budget) -> str:
    out = []
    for index, (key, item) in enumerate(items):
        if budget.full:
            break
        if index >= MAX_ITEMS:
            out.append(f"<div><em>… {count - MAX_ITEMS:,} more not shown</em></div>")
            break
        out.append(_node(f'<span style="opacity:.75">{escape(clip(key, MAX_KEY_CHARS))}:</span> ', item, depth + 1, budget))
    return "".join(out)


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        return ((str(key), item) for key, item in value.items())
    return ((str(index), item) for index, item in enumerate(value))


def _leaf(label: str, content: str, budget: Budget) -> str:
    line = f"<div>{label}{content}</div>"
    return line if budget.take(line) else ""
