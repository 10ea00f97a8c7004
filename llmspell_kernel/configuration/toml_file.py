"""The text of a settings file -> entries with the places they stand at.  Pure.

Python's TOML reader keeps no places; a second walk over a text that it has accepted finds those of the keys.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import ConfigError
from ..settings import Origin
from .rules import OPEN_TABLES, Entry, unknown, wrong

Path = tuple[str, ...]
Place = tuple[int, int]
_BLANK = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_OTHER_VALUE = re.compile(r"[^\n,\]}#]+")
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)$")


def entries(text: str, name: str, known: Collection[str]) -> list[Entry]:
    """Values by dotted key.  `known` are the keys there are.  Raises ConfigError: no TOML, an unknown key, a table in place of a value."""
    try:
        read = tomllib.loads(text)
        places = key_places(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(str(error), text, name) from None
    except RecursionError:
        raise ConfigError("nested too deep to be read", file=name) from None
    found: list[Entry] = []
    _collect(read, (), places, name, known, found)
    return found


def key_places(text: str) -> dict[Path, Place]:
    """Line and column of each key and table in a text that is TOML, counted from 1."""
    scan = _Scan(text)
    scan.document()
    return scan.places


def _collect(
    table: Mapping[str, Any], above: Path, places: Mapping[Path, Place], name: str, known: Collection[str], found: list[Entry]
) -> None:
    for part, value in table.items():
        path = (*above, part)
        key, origin = _dotted(path), Origin(name, *places.get(path, ()))
        if key in known or (len(above) == 1 and above[0] in OPEN_TABLES):
            found.append(Entry(key, value, origin))
        elif key not in OPEN_TABLES and not any(other.startswith(f"{key}.") for other in known):
            raise unknown(key, origin, known)
        elif not isinstance(value, dict):
            raise wrong(key, origin, f"must be a table, as in [{key}]")
        else:
            _collect(value, path, places, name, known, found)


def _dotted(path: Path) -> str:
    return ".".join(part if _BARE_KEY.fullmatch(part) else json.dumps(part) for part in path)


def _not_toml(message: str, text: str, name: str) -> ConfigError:
    place = _AT_LINE.search(message)
    line, column = (int(place[1]), int(place[2])) if place else (text.count("\n") + 1, 0)  # "at end of document"
    return ConfigError(f"not TOML: {_AT_LINE.sub('', message)}", file=name, line=line, column=column)


class _Scan:
    """Walks over TOML statement by statement, and notes where each key begins."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.places: dict[Path, Place] = {}
        self._counted = (0, 1)

    def document(self) -> None:
        table: Path = ()
        while not self._ends():
            if self.text[self.at] == "[":
                start = self.at
                self.at += 2 if self.text.startswith("[[", start) else 1
                table = self._key(())
                self.at = self.text.index("]", self.at)
                self.at += 2 if self.text.startswith("[[", start) else 1
            else:
                self._pair(table)

    def _ends(self) -> bool:
        self._skip(_BLANK)
        return self.at >= len(self.text)

    def _pair(self, table: Path) -> None:
        path = self._key(table)
        self.at = self.text.index("=", self.at) + 1
        self._value(path)

    def _key(self, table: Path) -> Path:
        """A dotted key; each of its parts is noted, as `limits.effects` also begins the table `limits`."""
        path = table
        while True:
            self._skip(_SPACE)
            place = self._place()
            if self.text[self.at] in "\"'":
                literal = self._skip(_STRING)
                part = str(tomllib.loads(f"value = {literal}")["value"])
            else:
                part = self._skip(_BARE_KEY)
            path = (*path, part)
            self.places.setdefault(path, place)
            self._skip(_SPACE)
            if self.text[self.at] != ".":
                return path
            self.at += 1

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        match self.text[self.at]:
            case "[":
                self._items("]", lambda: self._value(path))
            case "{":
                self._items("}", lambda: self._pair(path))
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_OTHER_VALUE)

    def _items(self, end: str, item: Any) -> None:
        self.at += 1
        while not self._ends() and self.text[self.at] != end:
            item()
        self.at += 1

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            line, column = self._place()
            raise tomllib.TOMLDecodeError(f"unexpected text (at line {line}, column {column})")
        self.at = found.end()
        return found[0]

    def _place(self) -> Place:
        at, line = self._counted
        line += self.text.count("\n", at, self.at)
        self._counted = (self.at, line)
        return line, self.at - self.text.rfind("\n", 0, self.at)
