"""Rules that deny or ask and that no call meets, each told once: who mistypes a deny believes that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..bridges._capabilities import UNKNOWN_YET, capabilities
from ..bridges._declaration import BridgeDeclaration
from ..configuration.unmet_patterns import unmet
from ..policy.decide import Grants

_DOES = {"deny": "denies nothing", "ask": "asks before nothing"}


class UnmetRules:
    """Rules may be for bridges that are installed later, so nothing is refused."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def told(self, grants: Iterable[Grants], declarations: Mapping[str, BridgeDeclaration]) -> list[str]:
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
        calls = capabilities(declarations.values())
        found = (
            (kind, rules, rules.deny_places.get(pattern, ""), unmet(pattern, calls, UNKNOWN_YET)) for (kind, pattern), rules in new.items()
        )
        return [_line(kind, rules.source, place if kind == "deny" else "", why) for kind, rules, place, why in found if why]


def _line(kind: str, source: str, place: str, why: str) -> str:
    rule, _, hint = why.partition("; ")
    return f"Warning: the rule '{kind}' of {place or source} {_DOES[kind]}: {rule}{'; ' if hint else ''}{hint}"
