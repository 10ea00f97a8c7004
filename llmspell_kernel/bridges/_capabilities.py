"""The names that patterns of grants are held against: those of every call that a bridge answers."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from ._declaration import BridgeDeclaration
from ._exposed import HOST
from ._outlines import Catalogue

UNKNOWN_YET = (f"{HOST}.", "tools.call.")
"""What begins so may come with a notebook's own functions and tools."""


def capabilities(catalogue: Catalogue) -> dict[str, list[str]]:
    """By bridge: its methods, and those of the things that it gives to scripts."""
    found = {name: [f"{name}.{method}" for method in methods] for name, methods in catalogue["bridges"].items()}
    for kind, about in catalogue["resources"].items():
        found[kind.partition(".")[0]] += [f"{kind}.{method}" for method in about["methods"]]
    return found


def is_of_bridges_alone(pattern: str, declarations: Mapping[str, BridgeDeclaration]) -> bool:
    """Does it fit a call that only other bridges make?  Reads every declaration, and so imports every bridge."""
    every = (declarations.get(name) for name in declarations)
    return any(fnmatchcase(f"{known.name}.{method}", pattern) for known in every if known is not None for method in known.inner)
