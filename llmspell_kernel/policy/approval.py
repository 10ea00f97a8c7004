"""The question put to the user before an effect, as text.  Pure.

Rules
- The text is ours.  Whatever a script chose stands in it quoted: no line break, control character, escape sequence, change of direction or
  invisible letter reaches whoever reads it, and no line of it can look like one of ours.  How wide the screen is is not known, so no line that
  holds something of a script is left to the screen to break: each is broken here, and what follows begins with a mark.
- The arguments are the exact ones the call will have.  One that is too long to be read is cut in its middle, and its size is said.
- The answer is no unless somebody types y or yes for this very question.  One answer is for one call: there is no "always".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

SHOWN_CHARS = 1_200
"""Of one argument."""
TAIL_CHARS = 300
"""Of these, the last ones of an argument that is cut."""
ALL_CHARS = 6_000
"""Of all arguments together."""
MAX_ITEMS = 50
"""Of one list or table, and of the arguments."""
MAX_DEPTH = 8
NAME_CHARS = 80
YES = ("y", "yes")
PROMPT = "Allow this one call? [y/N] "
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Printable by their category, and seen as nothing or as a space."""
_MARK_KINDS = ("Mn", "Me")
_MARKS = 2
"""Combining marks that may stand on one letter; more of them can cover the lines above and below."""
NARROWEST = 40
"""Columns of a screen; lines are shorter, because some screens break one that just fits."""
MARGIN = "  |"
"""Before the rest of a line that was broken."""
_WORD = re.compile(r" *[^ ]+| +")
_PIECE = re.compile(r" *(?:\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)|.)")
"""Of a word: a character, or the escape of one.  Spaces stay with what follows them: at the end of a line nobody would see them."""
_SPACE_OF_A_RUN = re.compile("(?<= ) ")


class ApprovalRequest(NamedTuple):
    """What is asked.  `arguments` are plain data by name, `what` is "" where the call itself says what it does."""

    capability: str
    """`bridge.method`."""
    level: str
    arguments: Mapping[str, Any]
    engine: str
    state: str
    cell: str
    """The name of the script, as errors have it: `cell[3]`."""
    reason: str
    """The rule that wants it asked."""
    what: str = ""

    @property
    def text(self) -> str:
        """The whole question, of a few lines; the last one ends where the answer is typed."""
        return question(self)


def is_yes(answer: str) -> bool:
    return answer.strip().lower() in YES


def question(request: ApprovalRequest) -> str:
    name, level = quoted(request.capability, NAME_CHARS)[1:-1], quoted(request.level, NAME_CHARS)[1:-1]
    place = (
        f"{quoted(request.cell, NAME_CHARS)[1:-1]}, {quoted(request.engine, NAME_CHARS)[1:-1]} state {quoted(request.state, NAME_CHARS)}"
    )
    # names and levels of methods are those of our bridges: no script chose them, and the first line can be left to the screen; names of tools
    # have a second dot, and are a script's
    first = f"llmspell: a script asks to call {name} (level: {level})"
    if request.capability.count(".") > 1:
        first = _broken(first)
    lines: list[str] = []
    if request.what:
        lines.append(f"  to do:  {quoted(request.what, SHOWN_CHARS)}")
    lines.append(f"  script: {place}")
    lines.append(f"  asked:  {quoted(request.reason, 4 * NAME_CHARS)[1:-1]}")
    return "\n".join([first, *map(_broken, [*lines, *_argument_lines(request.arguments)]), PROMPT])


def _broken(line: str) -> str:
    """A line as several, none as long as a screen is wide: at its words, and within those that fit on none."""
    out, used = [], 0
    for word in _WORD.findall(line):
        for piece in [word] if len(MARGIN) + _columns(word) < NARROWEST else _PIECE.findall(word):
            if used + (columns := _columns(piece)) >= NARROWEST:
                out.append(f"\n{MARGIN}")
                used = len(MARGIN)
            out.append(piece)
            used += columns
    return "".join(out)


def _columns(text: str) -> int:
    """How many a screen may need for it, at most: some take two for what others show in one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.category(char) in _MARK_KINDS else 1 if char < "\u1100" and _is_narrow(char) else 2 for char in text)


def _is_narrow(char: str) -> bool:
    return unicodedata.east_asian_width(char) in ("Na", "N", "H")


def quoted(text: str, limit: int = SHOWN_CHARS) -> str:
    """A text in quotes, with everything that is not seen as itself escaped, at most about `limit` characters of it."""
    if len(text) <= limit:
        return f'"{_escaped(text)}"'
    tail = min(TAIL_CHARS, limit // 4)
    head, end = _escaped(text[: limit - tail]), _escaped(text[-tail:])
    return f'"{head}" ...{len(text) - limit:,} characters not shown... "{end}" ({len(text):,} characters)'


def _argument_lines(arguments: Mapping[str, Any]) -> list[str]:
    if not arguments:
        return ["  with no arguments"]
    lines, room = [], ALL_CHARS
    for position, (name, value) in enumerate(arguments.items()):
        if position >= MAX_ITEMS or room <= 0:
            lines.append(f"  ...and {len(arguments) - position:,} more arguments, not shown")
            break
        shown = _shown(value, min(SHOWN_CHARS, room))
        room -= len(shown)
        lines.append(f"  {quoted(name, NAME_CHARS)[1:-1]} = {shown}")
    return lines


def _shown(value: Any, limit: int) -> str:
    text = _written(value, limit, 0)
    if len(text) <= 2 * limit:
        return text
    return f"{text[: 2 * limit]} ...{len(text) - 2 * limit:,} characters not shown..."


def _written(value: Any, limit: int, depth: int) -> str:
    """Like the value in the script's language; what is left out is counted."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value!r}" if abs(value) < 10**40 or isinstance(value, float) else "a number of more than 40 digits"
        case str():
            return quoted(value, limit)
        case bytes() | bytearray() | memoryview():
            return _bytes(bytes(value), limit)
        case Mapping() if depth < MAX_DEPTH:
            return f"{{{_items([(f'{quoted(str(key), NAME_CHARS)}: ', item) for key, item in _first(value.items())], len(value), limit, depth)}}}"
        case Sequence() if depth < MAX_DEPTH:
            return f"[{_items([('', item) for item in _first(value)], len(value), limit, depth)}]"
        case Mapping() | Sequence():
            return f"(a {type(value).__name__} of {len(value):,} items)"
    return f"(a {quoted(type(value).__name__, NAME_CHARS)[1:-1]})"


def _first(items: Any) -> list[Any]:
    return [item for _, item in zip(range(MAX_ITEMS), items, strict=False)]


def _items(items: Sequence[tuple[str, Any]], count: int, limit: int, depth: int) -> str:
    parts: list[str] = []
    room = limit
    for label, item in items:
        if room <= 0:
            break
        parts.append(label + _written(item, max(room, 40), depth + 1))
        room -= len(parts[-1])
    if (left := count - len(parts)) > 0:
        parts.append(f"...{left:,} more items not shown...")
    return ", ".join(parts)


def _bytes(value: bytes, limit: int) -> str:
    shown = _SPACE_OF_A_RUN.sub(r"\\x20", repr(value[: limit // 4]))
    if len(value) <= limit // 4:
        return shown
    return f"{shown} ...{len(value) - limit // 4:,} bytes not shown... ({len(value):,} bytes)"


def _escaped(text: str) -> str:
    out, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in _MARK_KINDS else 0
        out.append(char if _is_seen(char) and marks <= _MARKS else _code(char))
    return _SPACE_OF_A_RUN.sub(r"\\x20", "".join(out))


def _is_seen(char: str) -> bool:
    """Python's `isprintable` leaves out controls, separators, changes of direction, surrogates and what no standard names."""
    return char.isprintable() and char not in '"\\' and char not in _BLANK and not "\ufe00" <= char <= "\ufe0f" and char < "\U000e0000"


def _code(char: str) -> str:
    match char:
        case '"' | "\\":
            return f"\\{char}"
        case "\n":
            return "\\n"
        case "\t":
            return "\\t"
        case "\r":
            return "\\r"
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
