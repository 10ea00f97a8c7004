"""Text from scripts and models made fit to show: no terminal controls but colour, no bidirectional controls, escaped for HTML."""

from __future__ import annotations

import html
import re
from unicodedata import combining, east_asian_width

_ESCAPES = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"  # strings: titles, links, clipboard
    r"|(?P<csi>(?:\x1b\[|\x9b)(?P<body>[0-?]*[ -/]*)(?P<final>[@-~]))"
    r"|\x1b[ -/]*[0-~]"
    r"|[\x1b\x80-\x9f]"
)
# Colours, bold, italics and underline and their ends.  Not 5 (blink), 7 (reverse) or 8 (conceal), which can hide text.
_COLOUR = re.compile(r"(?:0|1|3|4|2[234]|3[0-79]|4[0-79]|9[0-7]|10[0-7]|[34]8;5;\d{1,3}|[34]8;2;\d{1,3};\d{1,3};\d{1,3}|;){0,32}")
_BIDI = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_CONTROLS = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_PARTIAL_ESCAPE = re.compile(r"\r\Z|\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c]*\x1b?)?\Z")
RESET = "\x1b[0m"


def clean(text: str, *, colour: bool = False) -> str:
    """The text without ANSI sequences, bidi controls and lone surrogates; other controls become pictures.  With `colour`, colours stay."""
    coloured = False

    def keep(match: re.Match[str]) -> str:
        nonlocal coloured
        if colour and match["csi"] and match["final"] == "m" and _COLOUR.fullmatch(match["body"]):
            coloured = True
            return f"\0{match['body']}\0"
        return ""

    text = text.replace("\0", "\u2400")
    text = _ESCAPES.sub(keep, text)
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_BIDI)
    text = _SURROGATES.sub("\ufffd", text)
    if not coloured:
        return text.translate(_CONTROLS)
    parts = text.split("\0")  # every second part is the inside of a colour sequence
    shown = "".join(f"\x1b[{part}m" if index % 2 else part.translate(_CONTROLS) for index, part in enumerate(parts))
    return shown if shown.endswith(RESET) else shown + RESET


def escape(text: str) -> str:
    """The text cleaned and escaped for HTML content and quoted attributes."""
    return html.escape(clean(text), quote=True)


def split_partial_escape(text: str) -> tuple[str, str]:
    """For text that comes in pieces: what can be shown now, and an escape sequence or line end that the piece may have cut in two."""
    match = _PARTIAL_ESCAPE.search(text, max(0, len(text) - 256))
    return (text[: match.start()], text[match.start() :]) if match else (text, "")


def clip(text: str, limit: int) -> str:
    """At most `limit` characters; a cut is marked by an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cap_text(text: str, limit: int) -> str:
    """At most `limit` characters and a line that says how many more there were."""
    return text if len(text) <= limit else f"{text[:limit]}\n… {len(text) - limit:,} more characters not shown"


def width(text: str) -> int:
    """Columns the text takes in a fixed-width font."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
