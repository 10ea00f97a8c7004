"""Takes secrets out of text by their values, whole or in pieces.  Pure: who reads the values is services.secrets.

Rules
- A value is found as it is, in base64 (all three alignments, both alphabets), in hex, and with any of its characters escaped as in URLs,
  JSON (within JSON, too), JavaScript or HTML.  What is found is replaced by `[secret NAME]`: no first and no last character is shown.
- Every occurrence counts, also those that overlap: what stands in any of them is not shown.
- Of a text that comes in pieces, no more is held back than what may be the beginning of an occurrence: ordinary text flows on at once.
- Values of fewer than 8 characters are refused: they would be found in ordinary text, and what takes their place would tell them.
- A value that was once learnt stays one as long as its redactor lives, whatever becomes of its name.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from .errors import ConfigError
from .values import MANY_ITEMS, MAX_DEPTH, Opaque, inside, kinds_in

MIN_CHARS = 8
MAX_CHARS = 16_384
"""A private key with its certificates is shorter; a file that is longer is something else."""
MAX_BACKSLASHES = 16
"""JSON in JSON in JSON in JSON has 15 before a quotation mark."""
PATTERN_CHARS = 8
"""Of the middle of a value, are looked for with escapes, and where they are found the text is looked at as a whole.  How a value begins and ends
(`sk-proj-`, `-----BEGIN`) a script may know, and could write a million times."""
FEWEST_PLAIN = 4
"""Of a value, besides what may be an escape: with fewer, ordinary text would be taken for it."""
LONGEST_ESCAPE = 2 * MAX_BACKSLASHES + 10
WINDOW_CHARS = 512 * 1024
_OF_JSON = {type(None), bool, int, float, str, list, dict}
_HEX = "[0-9A-Fa-f]"
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_SHORT = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_SLASHES = rf"\\{{1,{MAX_BACKSLASHES}}}"
_NEXT_BYTE = rf"%[89ABab]{_HEX}"
_ESCAPE = (
    rf"%(?P<url>[0-7]{_HEX})"
    rf"|(?P<utf8>%[CDcd]{_HEX}{_NEXT_BYTE}|%[Ee]{_HEX}(?:{_NEXT_BYTE}){{2}}|%[Ff][0-7](?:{_NEXT_BYTE}){{3}})"
    rf"|{_SLASHES}(?:u(?P<pair>[Dd][89ABab]{_HEX}{{2}}{_SLASHES}u[Dd][C-Fc-f]{_HEX}{{2}})"
    rf"|u(?P<u>{_HEX}{{4}})|u\{{(?P<braced>{_HEX}{{1,6}})\}}|x(?P<x>{_HEX}{{2}})"
    r"|(?P<short>[\"'/nrtbf])|(?P<backslash>))"
    rf"|&(?:#x(?P<entity_x>{_HEX}{{1,6}})|#(?P<entity>[0-9]{{1,7}})|(?P<named>amp|lt|gt|quot|apos));"
)
_CUT_ESCAPE = (
    rf"(?:%[0-7]?|%[C-Fc-f]{_HEX}?(?:%{_HEX}{{0,2}}){{0,3}}"
    rf"|{_SLASHES}(?:u{_HEX}{{0,3}}|u[Dd][89ABab]{_HEX}{{2}}(?:{_SLASHES}(?:u{_HEX}{{0,3}})?)?|u\{{{_HEX}{{0,6}}|x{_HEX}?)?"
    rf"|&(?:#(?:x{_HEX}{{0,6}}|[0-9]{{0,7}})|[a-z]{{0,4}})?)\Z"
)
_compiled = cache(re.compile)
"""The large ones when they are first used: a session without secrets needs none of them."""
_ESCAPED_LETTER = re.compile(rf"%[0-7C-Fc-f]{_HEX}|\\(?:u[0-9A-Fa-f{{]|x{_HEX})|&#")
_ESCAPED_MARK = re.compile(rf"{_ESCAPED_LETTER.pattern}|\\|\+|&(?:amp|lt|gt|quot|apos);")
_NEVER_ESCAPED = re.compile(r"[\w.~-]*", re.ASCII)
_BASE64_END = re.compile(r"[A-Za-z0-9+/_-]?={0,2}")


class _Form(NamedTuple):
    """One way to write a value.  In base64 its last bits may share a character with what follows (`has_end`)."""

    text: str
    name: str
    has_end: bool = False


class _Span(NamedTuple):
    start: int
    end: int
    name: str


class Redactor:
    """Knows values by name; everybody who redacts in a session shares one, so that what is learnt holds at once."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """By value."""
        self._forms: list[_Form] = []
        self._needles: list[str] = []
        """The texts of the forms."""
        self._by_first: dict[str, list[_Form]] = {}
        self._plain: dict[str, str] = {}
        """Name by value, as `_unescaped` writes it."""
        self._pattern: re.Pattern[str] | None = None
        """Finds a part of each, escaped; made when a text first needs it."""
        self._shortest = self._longest = self._longest_plain = 0
        self._begun = re.compile("(?!)")
        """Finds what has the first characters of a form, as far as the text goes."""
        self._escaped = _ESCAPED_LETTER
        self.active = False
        """Is there anything to look for?"""

    def learn(self, name: str, value: str) -> None:
        """From now on this value is a secret.  Raises ConfigError for one that is too short or too long to be looked for."""
        check_value(name, value)
        if value in self._names:
            return
        # all is made anew, as another thread may be looking through it
        self._names = {**self._names, value: name}
        forms: dict[str, _Form] = {}
        for form in (*self._forms, *_forms(name, value)):
            forms.setdefault(form.text, form)
        self._forms, self._needles = list(forms.values()), list(forms)
        self._by_first = {first: [form for form in self._forms if form.text[0] == first] for first in {text[0] for text in forms}}
        # an escape in the value itself stays where text is escaped whole, and is one more escape where it is not
        self._plain = {**self._plain, **{text: name for text in (_unescaped(value), _compared(value)) if len(text) >= FEWEST_PLAIN}}
        self._pattern = None
        self._shortest = min(map(len, (*self._needles, *self._plain)))
        self._longest = max(map(len, self._needles)) + 3  # what may stand behind a base64 form
        self._longest_plain = max(map(len, self._plain), default=0)
        first, second, third = ("".join({re.escape(text[at]) for text in self._needles}) for at in range(3))
        self._begun = re.compile(rf"[{first}](?=\Z|[{second}](?:\Z|[{third}]))")
        if not _NEVER_ESCAPED.fullmatch(value):
            self._escaped = _ESCAPED_MARK
        self.active = True

    def finds(self, text: str) -> bool:
        """Does a secret stand in the text?"""
        if len(text) < self._shortest or not self.active:
            return False
        for needle in self._needles:  # a plain loop: `any` over a generator takes half as long again
            if needle in text:
                return True
        return self._finds_escaped(text)

    def windows(self, text: str) -> Iterator[str]:
        """The text in parts that overlap, so that what stands in it stands in one of them: for one so long that others should run between."""
        overlap = max(self._longest, self._longest_plain * LONGEST_ESCAPE)
        for start in range(0, max(1, len(text) - overlap), WINDOW_CHARS):
            yield text[start : start + WINDOW_CHARS + overlap]

    def redact(self, text: str) -> str:
        """The text without secrets."""
        if not self.finds(text):
            return text
        return _Cut(text, self.spans(text), len(text), 0, 0).text

    def redact_bytes(self, data: bytes) -> bytes:
        """The bytes without secrets, which stand there as UTF-8."""
        if not self.active:
            return data
        text = data.decode("utf-8", "surrogateescape")
        return self.redact(text).encode("utf-8", "surrogateescape") if self.finds(text) else data

    def redact_value(self, value: Any) -> Any:
        """Data of a script without secrets, in keys too; what holds none is the same object."""
        if not self.active:
            return value
        if type(value) is str:
            return self.redact(value)
        return self._in_value(value, 0) if self.finds_in(value) else value

    def finds_in(self, value: Any) -> bool:
        """Does a secret stand in one of the texts of a value?  One look at all of them together, as most values hold none."""
        return self.active and self.finds("\0".join(_texts(value, 0)))

    def stream(self) -> StreamRedactor:
        """For a text that comes in pieces."""
        return StreamRedactor(self)

    def undecided(self, text: str) -> int:
        """Where the first thing begins that more text could make an occurrence, or a longer one; the text's length where nothing does."""
        hold = self._undecided_form(text, max(0, len(text) - self._longest))
        start = max(0, len(text) - self._longest_plain * LONGEST_ESCAPE)
        if start < hold:
            hold = min(hold, self._undecided_escapes(text, start))
        return hold

    def _finds_escaped(self, text: str) -> bool:
        """Does a value stand there with some of its characters escaped?  A search by pattern, as a script may send millions of escapes, and
        to look at each would hold the kernel up for seconds."""
        if not _may_have_escapes(text) or self._escaped.search(text) is None:
            return False
        if self._pattern is None:
            self._pattern = _pattern(list(self._plain))
        return self._pattern.search(text) is not None

    def _undecided_form(self, text: str, start: int) -> int:
        by_first = self._by_first
        for begun in self._begun.finditer(text, start):
            rest = text[begun.start() :]
            if any(_may_go_on(form, rest) for form in by_first[rest[0]]):
                return begun.start()
        return len(text)

    def _undecided_escapes(self, text: str, start: int) -> int:
        tail = text[start:]
        if not _may_have_escapes(tail):
            return len(text)
        cut = _compiled(_CUT_ESCAPE).search(tail, max(0, len(tail) - LONGEST_ESCAPE))
        if cut is None and self._escaped.search(tail) is None:
            return len(text)
        whole = tail[: cut.start()] if cut else tail
        plain = _unescaped(whole)
        for at in range(max(0, len(plain) - self._longest_plain), len(plain)):
            rest = plain[at:]
            if any(len(rest) < len(value) and value.startswith(rest) for value in self._plain):
                return start + _places(whole, [at])[0]
        return start + len(whole)

    def spans(self, text: str) -> list[_Span]:
        """Every occurrence, in order; of those that begin at one place, the longest first."""
        spans = [span for form in self._forms for span in _occurrences(text, form)]
        if self._finds_escaped(text):
            plain = _unescaped(text)
            for value, name in self._plain.items():
                starts = list(_finds(plain, value))
                ends = _places(text, [start + len(value) for start in starts])
                spans += [_Span(start, end, name) for start, end in zip(_places(text, starts), ends, strict=True)]
        return sorted(spans, key=lambda span: (span.start, -span.end, span.name))

    def _in_value(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            return value  # told of where it is written
        match value:
            case str():
                return self.redact(value)
            case bytes():
                return self.redact_bytes(value)
            case Opaque(text):
                return Opaque(self.redact(text))
            case _ if type(value) in (list, tuple):
                return type(value)([self._in_value(item, depth + 1) for item in value])
            case dict():
                return {self._in_value(key, depth + 1): self._in_value(item, depth + 1) for key, item in value.items()}
        return value


class StreamRedactor:
    """`feed` gives what can be shown of all that came so far; `flush` and `end` the rest."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""
        self._out = self._covered = 0
        """How much of what is held was given out all the same, and how much of it stands in an occurrence that was replaced."""

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def feed(self, text: str) -> str:
        if not self._held and not self._redactor.active:
            return text
        text = self._held + text
        hold = self._redactor.undecided(text)
        if hold == len(text) and not self._held and not self._redactor.finds(text):
            return text
        cut = self._cut(text, hold)
        self._held, self._out, self._covered = text[hold:], max(0, cut.out - hold), max(0, cut.covered - hold)
        return cut.text

    def flush(self) -> str:
        """Gives out what is held, because something else is to be shown after it.  It is remembered: of an occurrence that goes on behind
        it, no more is shown."""
        if not self._held:
            return ""
        cut = self._cut(self._held, len(self._held))
        self._out, self._covered = cut.out, cut.covered
        return cut.text

    def end(self) -> str:
        """No more follows."""
        rest = self.flush()
        self._held, self._out, self._covered = "", 0, 0
        return rest

    def _cut(self, text: str, hold: int) -> _Cut:
        return _Cut(text, self._redactor.spans(text), hold, self._out, self._covered)


class _Cut:
    """What can be shown of a text up to `hold`: `out` characters were shown before, `covered` are replaced already."""

    def __init__(self, text: str, spans: list[_Span], hold: int, out: int, covered: int) -> None:
        shown: list[str] = []
        for start, end, name in spans:
            if start >= hold:
                break
            if start >= covered and end > out:
                shown += [text[out:start], placeholder(name)]
            covered, out = max(covered, end), max(out, end)
        shown.append(text[out:hold])
        self.out, self.covered = max(out, hold), covered
        self.text = "".join(shown)


def placeholder(name: str) -> str:
    return f"[secret {name}]"


def check_value(name: str, value: str) -> None:
    """Raises ConfigError, which never quotes the value."""
    if len(value) < MIN_CHARS:
        raise ConfigError(
            f"the secret '{name}' has fewer than {MIN_CHARS} characters: so short a text cannot be kept out of what is shown; use a longer one"
        )
    if len(value) > MAX_CHARS:
        raise ConfigError(f"the secret '{name}' has more than {MAX_CHARS} characters; is it the right file?")


def _forms(name: str, value: str) -> Iterator[_Form]:
    yield _Form(value, name)
    data = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        written = b64encode(bytes(before) + data).decode().rstrip("=")
        # characters that hold bits of what stands before or behind the value are none of its own
        own = written[(0, 2, 3)[before] : (len(data) + before) * 8 // 6]
        for text in dict.fromkeys((own, own.replace("+", "-").replace("/", "_"))):
            yield _Form(text, name, has_end=(len(data) + before) % 3 > 0)
    yield _Form(data.hex(), name)
    yield _Form(data.hex().upper(), name)
    if not _NEVER_ESCAPED.fullmatch(value):
        # wholly escaped by one rule, what stands around cannot be taken for a part of it
        inside = [json.dumps(value, ensure_ascii=only)[1:-1] for only in (True, False)]
        for text in (quote(data), quote(data, safe=""), quote_plus(data), html.escape(value), *inside):
            yield _Form(text, name)


def _may_go_on(form: _Form, rest: str) -> bool:
    if form.text.startswith(rest):
        return len(rest) < len(form.text) or form.has_end
    if not form.has_end or not rest.startswith(form.text):
        return False
    end = rest[len(form.text) :]
    return len(end) < 3 and not end.endswith("==") and _BASE64_END.fullmatch(end) is not None


def _occurrences(text: str, form: _Form) -> Iterator[_Span]:
    for start in _finds(text, form.text):
        end = start + len(form.text)
        found = _BASE64_END.match(text, end) if form.has_end else None
        yield _Span(start, found.end() if found else end, form.name)


def _pattern(values: Sequence[str]) -> re.Pattern[str]:
    """Finds the middle of a value, whichever of its characters are escaped.

    It begins with a set of characters, and so is searched for as fast as `re` can; which of them it was is looked at afterwards.
    """
    escaped: dict[str, list[str]] = {r"(?<=%)": [], r"(?<=&)": [], rf"(?<=\\)\\{{0,{MAX_BACKSLASHES - 1}}}": []}
    plain: dict[str, list[str]] = {}
    for value in values:
        start = max(0, (len(value) - PATTERN_CHARS) // 2)
        middle = value[start : start + PATTERN_CHARS]
        spelled, rest = _spellings(middle[0]), "".join(_DROPPED + _any_spelling(char) for char in middle[1:])
        plain.setdefault(" +" if middle[0] == " " else middle[0], []).append(rest)
        for rests, spellings in zip(escaped.values(), spelled.values(), strict=True):
            rests.append(f"(?:{spellings}){rest}")
    begins = {**escaped, **{f"(?<=[{re.escape(chars)}])": rests for chars, rests in plain.items()}}
    branches = "|".join(f"{begin}(?:{'|'.join(rests)})" for begin, rests in begins.items() if rests)
    return re.compile(rf"[{re.escape(''.join(plain))}%\\&](?:{branches})")


_DROPPED = rf"(?:{_SLASHES}(?:u005[Cc]|x5[Cc]|u\{{0*5[Cc]\}})|\\|%5[Cc]|&#(?:0*92|x0*5[Cc]);){{0,{2 * MAX_BACKSLASHES}}}"
"""What `_unescaped` leaves out."""


def _any_spelling(char: str) -> str:
    spelled = _spellings(char)
    plain = r"[ +]" if char == " " else re.escape(char)
    return f"(?:{plain}|%(?:{spelled['%']})|&(?:{spelled['&']})|{spelled['after a backslash']})"


def _spellings(char: str) -> dict[str, str]:
    """The rest of every escape of a character, as patterns, by what it begins with."""
    found: dict[str, list[str]] = {"%": [], "&": [], "after a backslash": []}
    for one in ["+", " "] if char == " " else [char]:
        code, units = ord(one), one.encode("utf-16-be", "surrogatepass").hex()
        found["%"].append(_any_case("%".join(f"{byte:02x}" for byte in one.encode("utf-8", "surrogatepass"))))
        found["&"] += [rf"#(?:x0*{_any_case(f'{code:x}')}|0*{code});", *(f"{name};" for name, of in _NAMED.items() if of == one)]
        found["after a backslash"] += [
            f"u{_any_case(units[:4])}" + (f"{_SLASHES}u{_any_case(units[4:])}" if len(units) > 4 else ""),
            rf"u\{{0*{_any_case(f'{code:x}')}\}}",
            *([f"x{_any_case(f'{code:02x}')}"] if code < 0x100 else []),
            *(letter for letter, of in _SHORT.items() if of == one),
            *([re.escape(one)] if one in "\"'/" else []),
        ]
    return {begin: "|".join(spelled) for begin, spelled in found.items()}


def _any_case(digits: str) -> str:
    """Hexadecimal digits, which may be written large or small; not by a flag, which `re` would search for more slowly."""
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


def _may_have_escapes(text: str) -> bool:
    """Asked first, as it takes a hundredth of the time of a search by pattern."""
    return "%" in text or "\\" in text or "&" in text or "+" in text


def _finds(text: str, needle: str) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + 1)


def _unescaped(text: str) -> str:
    """The form in which text and values are compared: without escapes, and without backslashes, as nobody knows which of them stand for one."""
    return _compared(_compiled(_ESCAPE).sub(_character, text))


def _compared(text: str) -> str:
    return text.replace("\\", "").replace("+", " ")  # a plus sign is a space in the forms of web pages


def _character(escape: re.Match[str]) -> str:
    kind, digits = escape.lastgroup, escape[escape.lastgroup or 0]
    match kind:
        case "url" | "u" | "x" | "braced" | "entity_x":
            code = int(digits, 16)
        case "utf8":
            return bytes.fromhex(digits.replace("%", "")).decode("utf-8", "replace")[:1]
        case "pair":
            return bytes.fromhex(digits[:4] + digits[-4:]).decode("utf-16-be")
        case "entity":
            code = int(digits)
        case "short":
            return _SHORT.get(digits, digits)
        case "named":
            return _NAMED[digits]
        case _:
            return ""
    return chr(code) if code <= 0x10FFFF and code != 0x5C else ""


def _places(text: str, plain_places: list[int]) -> list[int]:
    """Where in a text ascending places of its unescaped form stand."""
    found: list[int] = []
    wanted = iter(plain_places)
    place = next(wanted, None)
    shorter = 0
    for escape in _compiled(_ESCAPE).finditer(text):
        while place is not None and place + shorter <= escape.start():
            found.append(place + shorter)
            place = next(wanted, None)
        if place is None:
            return found
        shorter += escape.end() - escape.start() - len(_compared(_character(escape)))
    while place is not None:
        found.append(place + shorter)
        place = next(wanted, None)
    return found


def _texts_of_many(items: list[Any]) -> Iterator[str]:
    """Level by level, so that the work on each of a quarter of a million items is done in C."""
    level: Sequence[Any] = items
    while level:
        kinds = set(map(type, level))
        yield from [item for item in level if type(item) is str]
        yield from [key for item in level if type(item) is dict for key in item if type(key) is str]
        for item in level if not kinds <= _OF_JSON else ():
            if type(item) not in _OF_JSON:
                yield from _texts(item, 0)
        level = inside(level, kinds)


def _texts(value: Any, depth: int) -> Iterator[str]:
    match value:
        case str():
            yield value
        case bytes():
            yield value.decode("utf-8", "surrogateescape")
        case Opaque(text):
            yield text
        case list() if len(value) > MANY_ITEMS and kinds_in(value, MAX_DEPTH - depth):
            yield from _texts_of_many(value)
        case list() | tuple() if depth <= MAX_DEPTH:
            for item in value:
                yield from _texts(item, depth + 1)
        case dict() if depth <= MAX_DEPTH:
            for key, item in value.items():
                yield from _texts(key, depth + 1)
                yield from _texts(item, depth + 1)
