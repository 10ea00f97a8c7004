"""Finds the recorded answer of a call: by its name and arguments, and among equals by the order in which they were made.  Pure but for its place.

Editing one cell leaves the answers of the others where they are: nothing is found by position alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import SequenceMatcher, unified_diff
from typing import Any

import msgspec

from .canonical import key_of
from .cassette import Entry

MOST_COMPARED = 200
DIFF_CHARS = 2_000


class Tape:
    """Plays entries.  `take` gives each of them once."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = list(entries)
        self._by_key: dict[str, list[int]] = {}
        for position, entry in enumerate(self._entries, 1):
            key = key_of(entry.call, bytes(entry.arguments), entry.opener)
            self._by_key.setdefault(key, []).append(position)
        self._next: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, position: int) -> Entry:
        return self._entries[position - 1]

    def take(self, call: str, arguments: bytes, opener: int | None = None) -> int | None:
        """The position, from 1, of the next entry of that call; None where there is none left.  `arguments` are canonical."""
        key = key_of(call, arguments, opener)
        positions, at = self._by_key.get(key, ()), self._next.get(key, 0)
        if at >= len(positions):
            return None
        self._next[key] = at + 1
        return positions[at]

    def add(self, entry: Entry) -> int:
        """Appends an entry that has just been made, and so is taken."""
        self._entries.append(entry)
        key = key_of(entry.call, bytes(entry.arguments), entry.opener)
        self._by_key.setdefault(key, []).append(len(self._entries))
        self._next[key] = len(self._by_key[key])
        return len(self._entries)

    def unused(self) -> list[int]:
        """Positions that nobody asked for."""
        taken = {position for key, at in self._next.items() for position in self._by_key[key][:at]}
        return [position for position in range(1, len(self._entries) + 1) if position not in taken]

    def explain(self, call: str, arguments: bytes) -> str:
        """Why a call is not found: was it recorded less often, what comes nearest, and where the arguments differ."""
        same = [entry for entry in self._entries if entry.call == call]
        if not same:
            known = sorted({entry.call for entry in self._entries})
            return f"no call of {call} is recorded; recorded are: {', '.join(known) or 'none'}"
        if any(bytes(entry.arguments) == arguments for entry in same):
            times = sum(bytes(entry.arguments) == arguments for entry in same)
            return f"this call of {call} is recorded {times} times, and asked for once more"
        wanted = _pretty(arguments)
        nearest = max(same[:MOST_COMPARED], key=lambda entry: _likeness(wanted, _pretty(bytes(entry.arguments))))
        lines = unified_diff(_pretty(bytes(nearest.arguments)), wanted, "recorded", "asked", lineterm="", n=1)
        shown = "\n".join(lines)
        return f"the nearest recorded call of {call} has other arguments:\n{shown[:DIFF_CHARS]}{'…' if len(shown) > DIFF_CHARS else ''}"


def _pretty(arguments: bytes) -> list[str]:
    value: Any = msgspec.json.decode(arguments)
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).splitlines()


def _likeness(one: list[str], other: list[str]) -> float:
    return SequenceMatcher(None, "\n".join(one)[:DIFF_CHARS], "\n".join(other)[:DIFF_CHARS], autojunk=False).quick_ratio()
