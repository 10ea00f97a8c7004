"""In which order bridges open: whether each one's `needs` can be met at all, told before a script runs."""

from __future__ import annotations

from collections.abc import Mapping

from llmspell_kernel.errors import nearest

from ._declaration import BridgeDeclaration


def unmet(declarations: Mapping[str, BridgeDeclaration]) -> dict[str, str]:
    """Why bridges can never open, by name: an unknown need, a circle, or a need that is itself one of these.  {} = all can."""
    faults: dict[str, str] = {}
    for name in sorted(declarations):
        if circle := _circle(name, declarations):
            faults[name] = f"the needs of bridges go in a circle: {' -> '.join(circle)}"
        for need in declarations[name].needs:
            if need not in declarations:
                faults.setdefault(name, f"it needs the bridge '{need}', which is not there{nearest(need, sorted(declarations))}")
    while more := {
        name: f"it needs the bridge '{need}', which cannot be used: {faults[need]}"
        for name, declared in declarations.items()
        for need in declared.needs
        if name not in faults and need in faults
    }:
        faults |= more
    return faults


def _circle(start: str, declarations: Mapping[str, BridgeDeclaration]) -> list[str]:
    """The way from a bridge through needs back to it, [] where there is none."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        declared = declarations.get(way[-1])
        for need in declared.needs if declared else ():
            if need == start:
                return [*way, start]
            if need not in seen:
                seen.add(need)
                ways.append([*way, need])
    return []
