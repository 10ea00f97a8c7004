"""The question put to the user before an effect, as text.  Pure.

Rules
- The text is ours.  Whatever a script chose stands in it quoted and on one line: no control character, escape sequence, change of direction or
  invisible letter reaches whoever reads it, and no line of it can look like one of ours.
- The arguments are the exact ones the call will have.  One that is too long to be read is cut in its middle, and its size is said.
- The answer is no unless somebody types y or yes for this very question.  One answer is for one call: there is no "always".
"""

from __future__ import annotations

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
_MARKS = 2
"""Combining marks that may stand on one letter; more of them can cover the lines above and below."""


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
    lines = [f"llmspell: a script asks to call {name} (level: {level})"]
    if request.what:
        lines.append(f"  to do:  {quoted(request.what, SHOWN_CHARS)}")
    lines.append(f"  script: {place}")
    lines.append(f"  asked:  {quoted(request.reason, 4 * NAME_CHARS)[1:-1]}")
    return "\n".join([*lines, *_argument_lines(request.arguments), PROMPT])


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
    if len(value) <= limit // 4:
        return repr(value)
    return f"{value[: limit // 4]!r} ...{len(value) - limit // 4:,} bytes not shown... ({len(value):,} bytes)"


def _escaped(text: str) -> str:
    out, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        out.append(char if _is_seen(char) and marks <= _MARKS else _code(char))
    return "".join(out)


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
