"""`KEY=VALUE ...` as a person types it after `%llmspell config`: a value is TOML, whose quotes and brackets are its own."""

from __future__ import annotations

_CLOSES = {"[": "]", "{": "}"}


def pairs(line: str) -> list[str]:
    """Cut at blanks, but not within quotes or brackets.  Quotes around a whole pair, and single ones around a whole value, are those of a
    shell, and are taken off.  Raises ValueError for a quotation mark without its other one."""
    found: list[str] = []
    begun = escaped = False
    quote = open_brackets = ""
    for char in line:
        if quote:
            if char == quote and not escaped:
                quote = ""
            escaped = char == "\\" and quote == '"' and not escaped
        elif char in "\"'":
            quote = char
        elif char in _CLOSES:
            open_brackets += _CLOSES[char]
        elif open_brackets.endswith(char):
            open_brackets = open_brackets[:-1]
        elif char.isspace() and not open_brackets:
            begun = False
            continue
        if not begun:
            found.append("")
            begun = True
        found[-1] += char
    if quote:
        raise ValueError("no closing quotation")
    return [_bare(pair) for pair in found]


def _bare(pair: str) -> str:
    whole = _unquoted(pair, "\"'")
    key, equals, value = whole.partition("=")
    return key + equals + _unquoted(value, "'")


def _unquoted(text: str, quotes: str) -> str:
    is_quoted = len(text) > 1 and text[0] in quotes and text.endswith(text[0]) and text[0] not in text[1:-1]
    return text[1:-1] if is_quoted else text
