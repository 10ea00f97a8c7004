"""Rules that deny or ask and that no call meets, each told once: who mistypes a deny believes that it holds."""

from __future__ import annotations

from collections.abc import Iterable

from ..bridges._capabilities import UNKNOWN_YET, capabilities, is_of_bridges_alone
from ..configuration.unmet_patterns import unmet
from ..policy.decide import Grants
from .bridge_set import BridgeSet

_DOES = {"deny": "denies nothing", "ask": "asks before nothing"}


class UnmetRules:
    """Rules may be for bridges that are installed later, so nothing is refused."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def told(self, grants: Iterable[Grants], bridges: BridgeSet) -> list[str]:
        """A line for each that was not looked at before."""
        new = {
            (kind, pattern): rules
            for rules in grants
            for kind in _DOES
            for pattern in getattr(rules, kind)
            if (kind, pattern) not in self._seen
        }
        if not new:
            return []  # as of nearly every cell
        self._seen.update(new)
        calls = capabilities(bridges.catalogue())
        return [
            _line(kind, rules, pattern, why)
            for (kind, pattern), rules in new.items()
            if (why := unmet(pattern, calls, UNKNOWN_YET)) and not is_of_bridges_alone(pattern, bridges.declarations)
        ]


def _line(kind: str, rules: Grants, pattern: str, why: str) -> str:
    place = rules.deny_places.get(pattern, "") if kind == "deny" else ""
    return f"Warning: the rule '{kind}' of {place or rules.source} {_DOES[kind]}: {why}"
