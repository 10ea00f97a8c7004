"""Finds the recorded answer of a call: by its name and arguments, and among equals by the order in which they were made.  Pure but for its place.

Editing one cell leaves the answers of the others where they are: nothing is found by position alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from difflib import SequenceMatcher, unified_diff
from typing import Any

import msgspec

from .canonical import key_of
from .cassette import Entry

MOST_COMPARED = 200
DIFF_CHARS = 2_000


class Tape:
    """Plays entries.  A position counts from 0; the name of an entry is its key and how many of that key stand before it."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries: list[Entry] = []
        self._by_key: dict[str, list[int]] = {}
        self._names: list[str] = []
        self._taken: set[int] = set()
        for entry in entries:
            self._append(entry)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, position: int) -> Entry:
        return self._entries[position]

    def counts(self) -> dict[str, int]:
        """By key, how many entries there are."""
        return {key: len(positions) for key, positions in self._by_key.items()}

    def name(self, position: int) -> str:
        return self._names[position]

    def take(self, call: str, arguments: bytes, opener: str = "", among: Collection[int] | None = None) -> int | None:
        """The position of the next entry of that call; None where there is none left.  `arguments` are canonical.

        `among` are the positions that may be taken, where not all may.
        """
        positions = self._by_key.get(key_of(call, arguments, opener), ())
        for position in positions:
            if position not in self._taken and (among is None or position in among):
                self._taken.add(position)
                return position
        return None

    def _append(self, entry: Entry) -> None:
        key = key_of(entry.call, bytes(entry.arguments), entry.opener)
        known = self._by_key.setdefault(key, [])
        self._names.append(f"{key}:{len(known)}")
        known.append(len(self._entries))
        self._entries.append(entry)

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
