"""May this effect happen?  Pure: the answer follows from the arguments alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from ..levels import LEVELS as LEVELS
from ..levels import Level as Level


class EffectFacts(NamedTuple):
    """All of an effect that is looked at; `capability` is `bridge.method`."""

    capability: str
    level: Level = "read"


class Grants(NamedTuple):
    """Capabilities are `bridge.method` names or patterns such as `llm.*`; a deny wins over every allow, and an allow does not silence an ask."""

    allow: Collection[str] = ("*",)
    deny: Collection[str] = ()
    ask: Collection[str] = ()
    """The user is asked before each of these."""
    ask_levels: Collection[Level] = ()
    """And before each effect of such a level."""
    source: str = "your settings"
    """Whose rules these are, for those who are refused."""
    mend: str = "grant it there: [grants] allow = ['CAPABILITY'], and no deny that covers it"
    """What a user can do who wants it allowed."""


class Allow(NamedTuple):
    pass


class Ask(NamedTuple):
    """The user decides; `reason` says which rule wants it so."""

    reason: str


class Deny(NamedTuple):
    reason: str
    capability: str


def decide(effect: EffectFacts, grants: Sequence[Grants]) -> Allow | Ask | Deny:
    """All grants must agree: one that denies wins, then one that asks."""
    asking: Ask | None = None
    for rules in grants:
        verdict = _by(rules, effect)
        if isinstance(verdict, Deny):
            return verdict
        asking = asking or verdict
    return asking or Allow()


def _by(rules: Grants, effect: EffectFacts) -> Ask | Deny | None:
    capability, source, mend = effect.capability, rules.source, rules.mend.replace("CAPABILITY", effect.capability)
    for pattern in rules.deny:
        if fnmatchcase(capability, pattern):
            return Deny(f"{capability} is denied by {source} (rule 'deny = {pattern}'); {mend}", capability)
    if not any(fnmatchcase(capability, pattern) for pattern in rules.allow):
        return Deny(f"{capability} is not allowed by {source}; {mend}", capability)
    for pattern in rules.ask:
        if fnmatchcase(capability, pattern):
            return Ask(f"rule 'ask = {pattern}' of {source}")
    if effect.level in rules.ask_levels:
        return Ask(f"{source}: every effect of the level '{effect.level}'")
    return None


def narrowed(state: str, allow: Collection[str], deny: Collection[str]) -> Grants:
    """What one state is left with, on top of what its session grants; `allow` of nothing leaves it all of that."""
    return Grants(allow or ("*",), deny, source=f"the state '{state}'", mend="it was narrowed for good, a fresh state is not")
