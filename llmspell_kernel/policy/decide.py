"""May this effect happen?  Pure: the answer follows from the arguments alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple

from ..levels import LEVELS as LEVELS
from ..levels import Level as Level
from .mending import set_anew, with_one_more


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
    mend: str = ""
    """What a user can do who wants it allowed; "" where these are settings, in whose lists it is then said what to write."""
    allow_place: str = ""
    """Which file, line or option set `allow`; "" where nobody knows."""
    deny_places: Mapping[str, str] = MappingProxyType({})
    """The same of each pattern of `deny`: a project's file adds to a user's."""


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
    capability, source = effect.capability, rules.source
    if any(fnmatchcase(capability, pattern) for pattern in rules.deny):
        return Deny(_denied(rules, capability), capability)
    if not any(fnmatchcase(capability, pattern) for pattern in rules.allow):
        mend = rules.mend or with_one_more("grants.allow", rules.allow, capability, rules.allow_place)
        return Deny(f"{capability} is not allowed by {source}; {mend}", capability)
    for pattern in rules.ask:
        if fnmatchcase(capability, pattern):
            return Ask(f"rule 'ask = {pattern}' of {source}")
    if effect.level in rules.ask_levels:
        return Ask(f"{source}: every effect of the level '{effect.level}'")
    return None


def _denied(rules: Grants, capability: str) -> str:
    """Names every rule that covers it: with one of two taken away, it would still be denied."""
    covering = [pattern for pattern in rules.deny if fnmatchcase(capability, pattern)]
    named = " and ".join(_rule(pattern, rules.deny_places.get(pattern, "")) for pattern in covering)
    mend = rules.mend or _without(rules, covering)
    return f"{capability} is denied by {rules.source} ({'rule' if len(covering) == 1 else 'rules'} {named}); {mend}"


def _rule(pattern: str, place: str) -> str:
    return f"'deny = {pattern}'" + (f" of {place}" if place else "")


def _without(rules: Grants, covering: Collection[str]) -> str:
    away = "take that rule away" if len(covering) == 1 else "take these rules away"
    places = {rules.deny_places.get(pattern, "") for pattern in rules.deny}
    if len(places) > 1:
        return away  # no one list holds them all
    kept = [pattern for pattern in rules.deny if pattern not in covering]
    return f"{away}{', and leave the others' if kept else ''}: {set_anew('grants.deny', kept, places.pop())}"


def narrowed(state: str, allow: Collection[str], deny: Collection[str]) -> Grants:
    """What one state is left with, on top of what its session grants; `allow` of nothing leaves it all of that."""
    return Grants(allow or ("*",), deny, source=f"the state '{state}'", mend="it was narrowed for good, a fresh state is not")
