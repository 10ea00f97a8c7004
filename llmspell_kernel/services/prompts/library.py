"""Templates by name and version: one library a session, the same for all states and languages."""

from __future__ import annotations

import re
from typing import Any

from llmspell_kernel.errors import LimitError, ScriptError, nearest

from .template import Template

MAX_TEMPLATES = 1_000
MAX_CHARS = 16_000_000
"""Of all of them together."""


class Library:
    """The newest version of a name is the highest: numbers in it count as numbers, so that 10 comes after 9."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Template]] = {}
        self._chars: dict[tuple[str, str], int] = {}

    def keep(self, template: Template) -> None:
        """In place of the one of that name and version.  Raises LimitError where there are too many."""
        key = template.name, template.version
        chars = {**self._chars, key: _chars(template)}
        if len(chars) > MAX_TEMPLATES:
            raise LimitError(
                f"the session keeps at most {MAX_TEMPLATES:,} named templates; give one of their names again, or leave the name out",
                limit="templates",
                value=MAX_TEMPLATES,
                used=len(chars),
            )
        if (used := sum(chars.values())) > MAX_CHARS:
            raise LimitError(
                f"the named templates of the session would have {used:,} characters, at most {MAX_CHARS:,} are kept; leave the name out",
                limit="templates_chars",
                value=MAX_CHARS,
                used=used,
            )
        self._chars = chars
        self._kept.setdefault(template.name, {})[template.version] = template

    def has(self, name: str, version: str) -> bool:
        return version in self._kept.get(name, {})

    def get(self, name: str, version: str | None = None) -> Template:
        """The newest version where none is named.  Raises ScriptError `unknown_prompt` with the nearest names."""
        versions = self._kept.get(name)
        if versions is None:
            raise ScriptError(f"there is no prompt '{name[:100]}'{nearest(name[:100], sorted(self._kept))}", code="unknown_prompt")
        if version is None:
            return versions[max(versions, key=_order)]
        if version not in versions:
            known = sorted(versions, key=_order)
            raise ScriptError(f"the prompt '{name}' has no version '{version[:100]}'{nearest(version[:100], known)}", code="unknown_prompt")
        return versions[version]

    def list(self) -> list[dict[str, Any]]:
        """By name, and the versions of each from the first to the newest."""
        return [
            {"name": name, "version": version, "variables": self._kept[name][version].variables()}
            for name in sorted(self._kept)
            for version in sorted(self._kept[name], key=_order)
        ]


def _chars(template: Template) -> int:
    source = template.source if isinstance(template.source, str) else str(template.source)
    return len(source) + sum(map(len, template.defaults.values())) + sum(example.chars for example in template.examples)


def _order(version: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"[0-9]{1,15}|[^0-9]+", version)
    return [(1, int(part), "") if part[0].isdecimal() and part.isascii() else (0, 0, part) for part in parts]
