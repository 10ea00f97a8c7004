"""A model's Markdown as HTML that cannot run, load or hide anything.

Rules
- Raw HTML stays text; no image is ever loaded: each becomes its description and its host.
- A link needs http, https or mailto and a plain host; it shows that host unless its text already is the address, and the page it opens
  gets no handle on ours.
- Text that would make the parser slow (very long, or thousands of brackets) is shown as it is, unrendered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from .text import clean, escape

MAX_MARKDOWN_CHARS = 60_000
MAX_BRACKETS = 2_000
"""The inline parser is quadratic in unmatched brackets: 20,000 take a second, 2,000 take 10 ms."""
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.IGNORECASE)


def markdown_html(text: str) -> str:
    """Safe HTML for a model's answer."""
    text = clean(text)
    if len(text) > MAX_MARKDOWN_CHARS or text.count("[") > MAX_BRACKETS:
        return f'<pre style="white-space:pre-wrap">{escape(text)}</pre>'
    return str(_parser().render(text))


def link_host(url: str) -> str | None:
    """The host a link leads to ("" for mailto), or None for a link that is refused."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme == "mailto":
        return ""
    # a user part before "@" and percent signs are how one host is made to look like another
    return parts.netloc if parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc) else None


@cache  # built at the first answer, 17 ms
def _parser() -> MarkdownIt:
    return MarkdownIt("js-default", {"html": False, "linkify": False}, renderer_cls=_SafeRenderer)


class _SafeRenderer(RendererHTML):
    """Links and images in our own form; everything else as the library writes it, escaped."""

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        href = str(tokens[idx].attrs.get("href", ""))
        if link_host(href) is None:
            return ""
        return f'<a href="{escape(href)}" target="_blank" rel="noopener noreferrer">'

    def link_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        start = _opening(tokens, idx)
        href = str(tokens[start].attrs.get("href", ""))
        host = link_host(href)
        if host is None:
            return f" ({escape(href)})" if href else ""
        label = "".join(token.content for token in tokens[start + 1 : idx])
        note = "" if not host or label.removesuffix("/") in (host, href, href.removesuffix("/")) else f" ({escape(host)})"
        return f"</a>{note}"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        alt = self.renderInlineAsText(token.children or [], options, env)
        source = str(token.attrs.get("src", ""))
        where = link_host(source) or source.partition(":")[0][:40]
        return f"[image: {escape(alt)} ({escape(where)})]"


def _opening(tokens: Sequence[Token], closing: int) -> int:
    """Links do not nest, so the nearest link_open before is the one."""
    return next(index for index in range(closing, -1, -1) if tokens[index].type == "link_open")
