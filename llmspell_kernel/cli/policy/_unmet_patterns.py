"""Patterns of `[grants]` that fit no call of any installed bridge."""

from __future__ import annotations

from collections.abc import Iterator

from ...bridges._capabilities import UNKNOWN_YET, capabilities, is_of_bridges_alone
from ...bridges._outlines import whole_catalogue
from ...bridges._registry import Declarations, discover
from ...configuration.unmet_patterns import unmet
from ...settings import Settings


def told(settings: Settings) -> Iterator[str]:
    """A line for each."""
    bridges = discover().bridges
    calls = capabilities(whole_catalogue(known.outline for known in bridges.values()))
    for field in ("allow", "deny", "ask"):
        key = f"grants.{field}"
        for pattern in getattr(settings, field):
            why = unmet(pattern, calls, UNKNOWN_YET)
            if why and not is_of_bridges_alone(pattern, Declarations(bridges, {})):
                yield f"{settings.place(key, pattern)}, key '{key}': {why}"
