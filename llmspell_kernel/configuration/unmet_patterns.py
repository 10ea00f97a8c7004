"""Patterns of grants that fit no call of any bridge there is: a slip, or a rule for a bridge that is not installed here.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from ..errors import nearest
from .rules import quoted


def unmet(pattern: str, calls: Mapping[str, Collection[str]], unknown_yet: tuple[str, ...]) -> str:
    """What is wrong with a pattern, in words; "" where it fits a call.  `calls` are their names by bridge.

    A pattern that begins with one of `unknown_yet` may fit what comes later.
    """
    if pattern.startswith(unknown_yet) or any(fnmatchcase(call, pattern) for of_bridge in calls.values() for call in of_bridge):
        return ""
    hint = nearest_calls(pattern, calls) if "." in pattern else f"; write '{pattern}.*'" if pattern in calls else ""
    return f"{quoted(pattern)} fits no call of an installed bridge{hint}"


def nearest_calls(pattern: str, calls: Mapping[str, Collection[str]]) -> str:
    """`; did you mean 'llm.chat'?`, or nothing where no call is like it."""
    hint = nearest(pattern, [*(call for of_bridge in calls.values() for call in of_bridge), *(f"{name}.*" for name in calls)])
    return hint if "known:" not in hint else ""
