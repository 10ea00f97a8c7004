"""What an effect does to the world, from harmless to dangerous: the one word for it in bridges, tools and policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

Level = Literal["read", "write", "network", "dangerous"]
"""It changes nothing, it changes what is kept, it reaches other machines, or it can do anything."""
LEVELS: Sequence[Level] = get_args(Level)
