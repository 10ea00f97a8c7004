"""How near texts are to each other by their embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llmspell_kernel.errors import BridgeError


def vectors_of(found: Sequence[Any], count: int) -> Sequence[list[float]]:
    """What a model gave as embeddings of so many texts, checked.  Raises BridgeError."""
    if len(found) != count or not all(_is_vector(vector, len(found[0])) for vector in found):
        raise BridgeError(f"the model gave no embeddings of {count} texts", code="bad_response")
    return found


def nearness(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of the angle between them: 1 for the same direction."""
    lengths = math.sqrt(sum(a * a for a in one)) * math.sqrt(sum(b * b for b in other))
    return round(sum(a * b for a, b in zip(one, other, strict=True)) / lengths, 6) if lengths else 0.0


def _is_vector(vector: Any, length: int) -> bool:
    return isinstance(vector, list) and len(vector) == length and all(type(number) in (int, float) for number in vector)
