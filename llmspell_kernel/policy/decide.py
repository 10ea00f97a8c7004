"""May this effect happen?  Pure: the answer follows from the arguments alone."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import NamedTuple


class Grants(NamedTuple):
    """Capabilities are `bridge.method` names or patterns such as `llm.*`; a deny wins over every allow."""

    allow: Collection[str] = ("*",)
    deny: Collection[str] = ()


class Allow(NamedTuple):
    pass


class Exceeded(NamedTuple):
    """A limit of policy.limits is used up."""

    limit: str
    value: float


class Deny(NamedTuple):
    reason: str
    capability: str


def decide(capability: str, grants: Grants, effects_so_far: int, effects_limit: int) -> Allow | Deny | Exceeded:
    for pattern in grants.deny:
        if fnmatchcase(capability, pattern):
            return Deny(f"the policy denies {capability} (rule 'deny = {pattern}')", capability)
    if not any(fnmatchcase(capability, pattern) for pattern in grants.allow):
        return Deny(f"the policy does not allow {capability}; grant it in your settings: [grants] allow = ['{capability}']", capability)
    if effects_so_far >= effects_limit:
        return Exceeded("effects", effects_limit)
    return Allow()
