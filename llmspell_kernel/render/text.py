"""Text from scripts and models made fit to show: no terminal controls but colour, no bidirectional controls, escaped for HTML."""

from __future__ import annotations

import html
import re
from unicodedata import combining, east_asian_width

# Possessive quantifiers, and no introducer within a string sequence: whatever the text, each character is looked at a few times only.
_ESCAPES = re.compile(
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]{0,4096}+(?:\x07|\x1b\\|\x9c)"  # strings: titles, links, clipboard
    r"|(?P<csi>(?:\x1b\[|\x9b)(?P<body>[0-?]*+[ -/]*+)(?P<final>[@-~]))"
    r"|\x1b[ -/]*+[0-~]"
    r"|[\x1b\x80-\x9f]"
)
MAX_COLOUR_CHARS = 64
MAX_LOST_CHARS = 200
"""Looked at beyond what is shown, for colours, which take no place."""
_BRIGHT = {*range(90, 98), *range(100, 108)}
_COLOURS = frozenset(map(str, {0, 1, 3, 4, 22, 23, 24, *range(30, 38), 39, *range(40, 48), 49} | _BRIGHT))
"""Colours, bold, italics and underline and their ends.  Not 5 (blink), 7 (reverse) or 8 (conceal), which can hide text."""
_CHOSEN = {"5": 1, "2": 3}
"""After 38 or 48: a colour of the palette (one number), or red, green and blue."""
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
        if match["csi"] and match["final"] == "m" and _is_colour(match["body"]):
            coloured = True
            return f"\0{match['body']}\0"
        return ""

    text = text.replace("\0", "\u2400")
    text = _ESCAPES.sub(keep if colour else "", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_BIDI)
    text = _SURROGATES.sub("\ufffd", text)
    if not coloured:
        return text.translate(_CONTROLS)
    parts = text.split("\0")  # every second part is the inside of a colour sequence
    shown = "".join(f"\x1b[{part}m" if index % 2 else part.translate(_CONTROLS) for index, part in enumerate(parts))
    return shown if shown.endswith(RESET) else shown + RESET


def clean_capped(text: str, limit: int, *, colour: bool = False, more: int = 0) -> str:
    """The first `limit` characters cleaned, and a line that says how many there were after them; `more` of these the caller cut already.

    Cut before it is cleaned: a text of many megabytes then costs no more than what is shown of it.
    """
    hidden = max(0, len(text) - limit) + more
    shown = clean(_uncut(text[:limit]) if hidden else text, colour=colour)
    return f"{shown}\n{_hidden_note(hidden)}" if hidden else shown


def clean_clipped(text: str, limit: int) -> str:
    """At most `limit` characters, cleaned; a cut is marked by an ellipsis.  Takes time in proportion to `limit`."""
    head = text[: limit + MAX_LOST_CHARS]
    shown = clean(_uncut(head) if len(head) < len(text) else head)
    return clip(shown + "…" if len(head) < len(text) else shown, limit)


def clean_line(text: str, limit: int) -> str:
    """The same on one line: what stands beside other words cannot look like a line of its own."""
    return " ".join(clean_clipped(text, limit).split())


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
    return text if len(text) <= limit else f"{text[:limit]}\n{_hidden_note(len(text) - limit)}"


def width(text: str) -> int:
    """Columns the text takes in a fixed-width font."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _hidden_note(count: int) -> str:
    return f"… {plural(count, 'more character')} not shown"


def _uncut(head: str) -> str:
    """The start of a text without the sequence that the cut went through, whose rest would read as text."""
    return split_partial_escape(head)[0]


def _is_colour(body: str) -> bool:
    """Is this the inside of a sequence that only colours?"""
    if len(body) > MAX_COLOUR_CHARS:
        return False
    parameters = iter(body.split(";"))
    for parameter in parameters:
        number = parameter.lstrip("0") or "0"  # ls writes 01, and nothing means 0
        if number in ("38", "48"):
            count = _CHOSEN.get(next(parameters, ""), 0)
            if not count or not all(_is_byte(next(parameters, "")) for _ in range(count)):
                return False
        elif number not in _COLOURS:
            return False
    return True


def _is_byte(text: str) -> bool:
    return len(text) <= 3 and text.isascii() and text.isdigit() and int(text) < 256
