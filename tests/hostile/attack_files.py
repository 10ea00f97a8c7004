"""Reads attacks/*.toml.  An attack is a table with code for each engine it is meant for, and what may come of it.

    [a-name]                   # what the script tries
    lua = "..."                # a cell, or a list of cells that run one after the other in one state
    javascript = "..."
    ends = "error"             # or a list of ends (below); where left out: value, error or limit
    gives = [...]              # the results of the last cell; it must then end with a value

Ends: `value`; `error` is one that the script could catch; `limit` a limit that was met; `lost` a worker that died without a limit being told,
which only attacks on memory may do.  In code, @VARIABLE@, @FILE@, @FOLDER@, @PORT@, @PID@ and @HOST@ stand for the canaries (canaries.py).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "attacks"
ENGINES = ("lua", "javascript")
ENDS = frozenset({"value", "error", "limit", "lost"})
FIELDS = {*ENGINES, "ends", "gives"}
MEMORY_SHARE = 1.35
"""By how much more than its state's cap a worker's process may grow, beside what arena.MEMORY_MORE allows."""
CONTAINED = ("value", "error", "limit")


class Attack:
    """One attack as the file has it."""

    def __init__(self, name: str, topic: str, raw: Mapping[str, Any]) -> None:
        if raw.keys() - FIELDS or not raw.keys() & set(ENGINES):
            raise ValueError(f"{topic}:{name} says what is not known, or has no code")
        self.name = name
        self.topic = topic
        self.gives: list[Any] | None = raw.get("gives")
        ends = raw.get("ends", "value" if self.gives is not None else CONTAINED)
        self.ends = frozenset([ends] if isinstance(ends, str) else ends)
        if self.ends - ENDS:
            raise ValueError(f"{topic}:{name} ends in no known way: {sorted(self.ends - ENDS)}")
        self._code = {engine: raw[engine] for engine in ENGINES if engine in raw}

    @property
    def engines(self) -> Sequence[str]:
        return list(self._code)

    def cells(self, engine: str, canaries: Mapping[str, str]) -> list[str]:
        code = self._code[engine]
        cells = [code] if isinstance(code, str) else list(code)
        for name, value in canaries.items():
            cells = [cell.replace(f"@{name}@", value) for cell in cells]
        return cells


def read_attacks() -> list[Attack]:
    return [
        Attack(name, path.stem, raw)
        for path in sorted(FOLDER.glob("*.toml"))
        for name, raw in tomllib.loads(path.read_text("utf-8")).items()
    ]
