"""The names as they are, as they were settled, and what is between the two."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .declared_names import declared_names
from .python_names import python_names
from .script_names import script_names

FILE = Path(__file__).parent / "public_names.json"
ACCEPT = "python -m tests.snapshot --write"


def names_now() -> dict[str, Any]:
    return {"python": python_names(), **declared_names(), "scripts": script_names()}


def names_settled() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text("utf-8")))


def write(names: Mapping[str, Any]) -> None:
    FILE.write_text(json.dumps(names, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def differences(settled: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line for each name that came, went or changed."""
    before, after = dict(_flat(settled)), dict(_flat(now))
    lines = [f"removed  {name}: {before[name]}" for name in before.keys() - after.keys()]
    lines += [f"added    {name}: {after[name]}" for name in after.keys() - before.keys()]
    lines += [
        f"changed  {name}:\n           {before[name]}\n        -> {after[name]}"
        for name in before.keys() & after.keys()
        if before[name] != after[name]
    ]
    return sorted(lines)


def _flat(names: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, item in names.items():
        place = f"{path} > {name}" if path else name
        if isinstance(item, Mapping):
            yield from _flat(item, place)
        else:
            yield place, item
