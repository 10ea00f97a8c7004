"""In which order bridges open: whether each one's `needs` can be met at all, told before a script runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmspell_kernel.errors import nearest


def unmet(needs: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Why bridges can never open, by name: an unknown need, a circle, or a need that is itself one of these.  {} = all can.

    `needs` says of every bridge there is which ones it needs.
    """
    faults: dict[str, str] = {}
    for name in sorted(needs):
        if circle := _circle(name, needs):
            faults[name] = f"the needs of bridges go in a circle: {' -> '.join(circle)}"
        for need in needs[name]:
            if need not in needs:
                faults.setdefault(name, f"it needs the bridge '{need}', which is not there{nearest(need, sorted(needs))}")
    while more := {
        name: f"it needs the bridge '{need}', which cannot be used: {faults[need]}"
        for name, needed in needs.items()
        for need in needed
        if name not in faults and need in faults
    }:
        faults |= more
    return faults


def _circle(start: str, needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The way from a bridge through needs back to it, [] where there is none."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        for need in needs.get(way[-1], ()):
            if need == start:
                return [*way, start]
            if need not in seen:
                seen.add(need)
                ways.append([*way, need])
    return []
