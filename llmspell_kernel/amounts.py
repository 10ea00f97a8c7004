"""Amounts of bytes as people write and read them: `128 MiB`.  One form everywhere: in settings, policies, tables and errors."""

from __future__ import annotations

import re

STEP = 1024
UNITS = ("B", "KiB", "MiB", "GiB")
_WRITTEN = r"(\d[\d_]*(?:\.\d+)?)\s*([A-Za-z]+)"  # compiled where it is used: every worker imports this, and none reads a size
_MOST_CHARS = 40
"""More is no number of bytes, and takes long to multiply."""


def size(number: float) -> str:
    """To be read: in the largest unit of which there is at least one, with four digits."""
    value, unit = in_units(number)
    return f"{value:.4g} {unit}" if value < STEP - 1 else f"{value:.0f} {unit}"


def in_units(number: float) -> tuple[float, str]:
    value, unit = float(number), 0
    while abs(value) >= STEP and unit + 1 < len(UNITS):
        value, unit = value / STEP, unit + 1
    return value, UNITS[unit]


def exact_size(number: int) -> str:
    """To be read and written again: with a unit where that loses nothing, else the number of bytes."""
    text = size(number)
    return text if number >= STEP and bytes_of(text) == number else f"{number:_}"


def bytes_of(text: str) -> int:
    """Of `64 MiB`, `64MiB`, `1.5 GiB`.  Raises ValueError that says what is wrong with it."""
    found = re.fullmatch(_WRITTEN, text.strip(), re.ASCII) if len(text) <= _MOST_CHARS else None
    if found is None:
        raise ValueError(f"must be a whole number of bytes, or a size such as '64 MiB', not '{text[:_MOST_CHARS]}'")
    number, unit = float(found[1].replace("_", "")), found[2]
    if unit not in UNITS:
        raise ValueError(f"has the unit '{unit}', which is none of {', '.join(UNITS)}; write for example '64 MiB'")
    factor: int = STEP ** UNITS.index(unit)
    return round(number * factor)
