"""A model's Markdown as HTML that cannot run, load or hide anything.

Rules
- Raw HTML stays text; no image is ever loaded: each becomes its description and its host.
- A link needs http, https or mailto and a plain host; it shows that host unless its text already is the address, and the page it opens
  gets no handle on ours.
- Text that would make the parser slow (very long, or thousands of marks or table cells) is shown as it is, unrendered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from .text import clean, clean_capped, escape

MAX_MARKDOWN_CHARS = 60_000
MAX_SHOWN_CHARS = 300_000
"""Of a text that is shown unrendered; escaped, it is at most six times as long."""
MAX_BRACKETS = 500
"""The inline parser is quadratic in unmatched brackets: 2,000 after exclamation marks take 270 ms, 500 take 40 ms."""
MAX_WORK = 3_500
"""In lines, which take about 20 microseconds each; a mark takes a quarter and a table's cell half of that;
a bracket that looks for its end, a fortieth for each mark on the way."""
MARKS_A_LINE, CELLS_A_LINE, LOOKS_A_LINE = 4, 2, 40
_MARK = re.compile(r"[*_~`&<>+\\-]")
_TOKEN = re.compile(r"[!#$%&*+\-:<=>@\[\\\]^_`{}~]")
"""Where the inline parser stops."""
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.IGNORECASE)


def markdown_html(text: str, *, more: int = 0) -> str:
    """Safe HTML for a model's answer, of which `more` characters were cut already."""
    if not more and len(text) <= MAX_MARKDOWN_CHARS:
        cleaned = clean(text)  # before it is judged, as what is taken out may hold line ends
        if cleaned.count("[") <= MAX_BRACKETS and _work(cleaned) <= MAX_WORK:
            return str(_parser().render(cleaned))
    return f'<pre style="white-space:pre-wrap">{escape(clean_capped(text, MAX_SHOWN_CHARS, more=more))}</pre>'


def _work(text: str) -> int:
    """What the text costs to parse."""
    lines = [line.strip() for line in text.split("\n")]
    blocks = [list(block) for is_text, block in groupby(lines, bool) if is_text]
    return len(lines) + len(_MARK.findall(text)) // MARKS_A_LINE + sum(map(_block_work, blocks))


def _block_work(lines: Sequence[str]) -> int:
    """Lines without a blank one.  The rows of a table are all made as wide as its head; and each bracket looks for its end in all of them."""
    cells = len(lines) * max(line.count("|") for line in lines)
    brackets = sum(line.count("[") + 3 * line.count("![") for line in lines)  # an image's text is parsed once more
    looks = brackets * sum(len(_TOKEN.findall(line)) + 1 for line in lines) if brackets else 0
    return cells // CELLS_A_LINE + looks // LOOKS_A_LINE


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
        href = _address(tokens[idx])
        if link_host(href) is None:
            return ""
        return f'<a href="{escape(href)}" target="_blank" rel="noopener noreferrer">'

    def link_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        start = _opening(tokens, idx)
        href = _address(tokens[start])
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


def _address(link: Token) -> str:
    """With its scheme in lower case, as our pages have them; that means the same."""
    scheme, colon, rest = str(link.attrs.get("href", "")).partition(":")
    return f"{scheme.lower()}{colon}{rest}" if colon else scheme


def _opening(tokens: Sequence[Token], closing: int) -> int:
    """Links do not nest, so the nearest link_open before is the one."""
    return next(index for index in range(closing, -1, -1) if tokens[index].type == "link_open")
