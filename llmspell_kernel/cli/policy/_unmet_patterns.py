"""Patterns of `[grants]` that fit no call of any installed bridge: a slip, or a rule for a bridge that is not installed here."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from ...bridges._exposed import HOST
from ...bridges._registry import discover
from ...configuration.rules import quoted
from ...errors import nearest
from ...settings import Settings


def told(settings: Settings) -> Iterator[str]:
    """A line for each."""
    bridges = discover().bridges
    calls = [f"{name}.{method}" for name, bridge in bridges.items() for method in bridge.outline.catalogue["bridges"][name]]
    known = [*calls, *(f"{name}.*" for name in bridges)]
    for field in ("allow", "deny", "ask"):
        for pattern in getattr(settings, field):
            # what Python exposes and what tools scripts register is not known yet
            is_of_the_notebook = pattern.startswith((f"{HOST}.", "tools.call."))
            if not is_of_the_notebook and not any(fnmatchcase(call, pattern) for call in calls):
                origin = settings.origin(f"grants.{field}")
                hint = nearest(pattern, known) if "." in pattern else f"; write '{pattern}.*'" if pattern in bridges else ""
                yield f"{origin}, key 'grants.{field}': {quoted(pattern)} fits no call of an installed bridge{hint}"
