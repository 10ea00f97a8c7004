"""A list or dict as a collapsible tree of <details> elements, which keyboards and screen readers understand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

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


def tree_html(value: Value, budget: Budget, null: str = "null", *, open_levels: int | None = None) -> str:
    """`open_levels` are unfolded; if it is not said, the outermost one is, unless its summary already says all."""
    if open_levels is None:
        open_levels = int(len(inline(value, PREVIEW_CHARS + 1, null)) > PREVIEW_CHARS)
    body = _Tree(budget, null, open_levels).node("", value, 0)
    return f'<div class="mathjax_ignore" style="{_MONO}">{body}</div>{CUT_HTML if budget.full else ""}'


class _Tree(NamedTuple):
    """What is the same for every node of a tree."""

    budget: Budget
    null: str
    open_levels: int

    def node(self, label: str, value: Value, depth: int) -> str:
        if isinstance(value, str):
            return self._text(label, value)
        text = scalar(value, self.null, MAX_TEXT_CHARS) or ""
        if text or depth >= MAX_DEPTH:
            return self._leaf(label, escape(text or "…"))
        is_dict = isinstance(value, dict)
        count = plural(len(value), "key" if is_dict else "item")
        is_open = depth < self.open_levels
        preview = "" if is_open else f"{escape(inline(value, PREVIEW_CHARS, self.null))} "  # what stands below anyway is not said twice
        opening = (
            f"<details{' open' if is_open else ''}><summary>{label}{preview}"
            f'<span style="opacity:.65">{count}</span></summary><div style="{_INDENT}">'
        )
        closing = "</div></details>"
        if not self.budget.take(opening + closing):
            return ""
        return opening + self._children(_items(value), len(value), depth) + closing

    def _children(self, items: Iterable[tuple[str, Any]], count: int, depth: int) -> str:
        out = []
        for index, (key, item) in enumerate(items):
            if self.budget.full:
                break
            if index >= MAX_ITEMS:
                out.append(f"<div><em>… {count - MAX_ITEMS:,} more not shown</em></div>")
                break
            out.append(self.node(f'<span style="opacity:.75">{escape(clip(key, MAX_KEY_CHARS))}:</span> ', item, depth + 1))
        return "".join(out)

    def _text(self, label: str, value: str) -> str:
        text = escape(clean_capped(value, MAX_TEXT_CHARS))
        # a text of controls alone shows nothing, but took its time
        self.budget.left -= max(0, min(len(value), MAX_TEXT_CHARS) - len(text))
        return self._leaf(label, f'<span style="white-space:pre-wrap">&quot;{text}&quot;</span>')

    def _leaf(self, label: str, content: str) -> str:
        line = f"<div>{label}{content}</div>"
        return line if self.budget.take(line) else ""


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        return ((str(key), item) for key, item in value.items())
    return ((str(index), item) for index, item in enumerate(value))
