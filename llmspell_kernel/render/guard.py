"""The last look at an output before it is published: what a page is given is text, our own markup, or our own live view.

Rules
- Two types of data go out, `text/plain` and `text/html`, and the reference to a live view.  No other type is ever published, whoever asks.
- The HTML is made of the elements and attributes below and of nothing else.  HTML that is not is a fault of ours or somebody's way around
  the escaping: it is left out, and the text beside it stays.
- A page is given no metadata but the facts under our own name.
- Both are limited in size here, whatever the renderers promised.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from .budget import MAX_HTML_BYTES, MAX_PLAIN_CHARS
from .bundle import Bundle
from .text import cap_text

log = logging.getLogger(__name__)

PLAIN, HTML, LIVE_VIEW = "text/plain", "text/html", "application/vnd.jupyter.widget-view+json"
METADATA = "llmspell"
MAX_METADATA_CHARS = 100_000
TAGS = (
    *(
        "a",
        "b",
        "blockquote",
        "br",
        "code",
        "del",
        "details",
        "div",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
    ),
    *("s", "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul"),
)
_TAG = f"(?:{'|'.join(sorted(TAGS, key=len, reverse=True))})"
_ATTRIBUTES = (
    r'class="(?:mathjax_ignore|language-[^"<>]*+)"',
    # no address, no escape that could spell one, nothing laid over the rest of the page
    r'style="(?![^"]*(?:url|image|expression|position|@|\\|&))[\w.,:;%()# +-]*+"',
    r'href="(?:https?://|mailto:)[^"<>\s]*+"',
    r'target="_blank"',
    r'rel="noopener noreferrer"',
    r'title="-?(?:[\d.]{1,40}(?:e[+-]?\d{1,4})?|inf|nan)"',  # a number in full
    r'start="-?\d{1,9}"',
    "open",
)
_OURS = re.compile(rf"(?:[^<]++|<(?:/{_TAG}|{_TAG}(?: (?:{'|'.join(_ATTRIBUTES)}))*+(?: /)?)>)*+")
_MODEL_ID = re.compile(r"[0-9a-f]{32}")
WITHHELD = "[this output was withheld: its HTML holds what no output of a script may hold; please report it]"


def published(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Bundle:
    """What may leave of an output; there is always a text."""
    out: dict[str, Any] = {}
    for kind, value in data.items():
        match kind:
            case "text/plain" if isinstance(value, str):
                out[PLAIN] = cap_text(value, MAX_PLAIN_CHARS)
            case "text/html" if isinstance(value, str) and is_ours(value):
                out[HTML] = value
            case _ if kind == LIVE_VIEW and _is_view(value):
                out[LIVE_VIEW] = dict(value)
            case _:
                log.warning("an output of the type %.100r was not published", kind)
    out.setdefault(PLAIN, WITHHELD)
    return Bundle(out, _facts(metadata))


def is_ours(html: str) -> bool:
    """Is this HTML of the size, the elements and the attributes that our renderers write?"""
    return len(html) <= MAX_HTML_BYTES and len(html.encode("utf-8", "replace")) <= MAX_HTML_BYTES and _OURS.fullmatch(html) is not None


def _is_view(value: Any) -> bool:
    """A reference to a widget, which only the host makes: a script's data come as text."""
    return (
        isinstance(value, Mapping)
        and value.keys() == {"model_id", "version_major", "version_minor"}
        and isinstance(value["model_id"], str)
        and _MODEL_ID.fullmatch(value["model_id"]) is not None
        and (value["version_major"], value["version_minor"]) == (2, 0)
    )


def _facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    facts = metadata.get(METADATA)
    if not isinstance(facts, Mapping) or len(json.dumps(facts, default=str)) > MAX_METADATA_CHARS:
        return {}
    return {METADATA: dict(facts)}
