"""What a user can write to have what a list of the settings refuses: always the whole new list, as writing one replaces it.  Pure."""

from __future__ import annotations

from collections.abc import Collection

TYPED = ("%llmspell config", "--set")
"""Places (see settings.Origin) where a setting is typed as KEY=VALUE; what is typed wins over what files say."""


def listed(patterns: Collection[str]) -> str:
    return f"[{', '.join(repr(pattern) for pattern in patterns)}]"


def set_anew(key: str, patterns: Collection[str], place: str) -> str:
    """The line that makes a list what it should be, in the form of the place where it was set; "" for a place nobody knows."""
    if place in TYPED:
        return f'{place} "{key}={listed(patterns)}"'
    table, _, name = key.partition(".")
    return f"[{table}] {name} = {listed(patterns)}" + (f" ({place})" if place else "")


def with_one_more(key: str, patterns: Collection[str], one: str, place: str) -> str:
    whole = set_anew(key, [*patterns, one], place)
    return f"add it, and keep what is there: {whole}" if patterns else f"add it: {whole}"
