"""The text of a body, by the charset that its answer names.

Rules
- A charset is one of those that the web uses: Python knows others under that name which are no charsets, or take time that grows with the
  square of the length (punycode).
- What is malformed becomes U+FFFD: a page with one bad byte is still a page.
"""

from __future__ import annotations

import codecs
import re

import msgspec

from llmspell_kernel.errors import BridgeError, ValueCrossingError
from llmspell_kernel.values import Value, counted_bytes

MOST_COUNTED = 16 * 1024 * 1024
"""Of the bytes that a value counts: 64 MB of memory.  An answer may be a quarter of a million objects of one key, or two million numbers."""
_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_KNOWN = re.compile(
    r"utf-?8|utf-?16(-?[lb]e)?|us-?ascii|ascii|latin-?1|iso-?8859-?\d{1,2}|(windows|cp)-?125\d|koi8-[ru]|shift[-_]?jis|euc-(jp|kr)|gb2312"
    r"|gbk|gb18030|big5"
)


def charset_of(content_type: str) -> str:
    """The charset's name as Python knows it; UTF-8 where none is named, or one that is not known."""
    found = _CHARSET.search(content_type)
    name = found[1].lower() if found else ""
    if not _KNOWN.fullmatch(name):
        return "utf-8-sig"
    try:
        known = codecs.lookup(name).name
    except LookupError:
        return "utf-8-sig"
    return "utf-8-sig" if known in ("utf-8", "ascii") else known  # also what calls itself ASCII is mostly UTF-8


def text_of(body: bytes, content_type: str) -> str:
    return body.decode(charset_of(content_type), "replace")


def json_of(body: bytes, content_type: str, where: str) -> Value:
    """The value of a JSON document.  Raises BridgeError for what is none, ValueCrossingError for one that would take too much memory."""
    text = text_of(body, content_type).encode()
    if counted_bytes(text, MOST_COUNTED) > MOST_COUNTED:
        raise ValueCrossingError(f"{where} answered with JSON of too many objects, lists and strings; take it as text, or ask for less")
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BridgeError(f"{where} did not answer with JSON: {reason}", code="bad_answer") from error
