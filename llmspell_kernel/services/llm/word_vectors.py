"""`spell/embed`: vectors from the words of a text, always the same and without a model.

Texts that share words are near; what words mean, it does not know.  It is for tests, examples and work without a network.
"""

from __future__ import annotations

import hashlib
import math
import re

NAME = "spell/embed"
DIMENSIONS = 512
_WORD = re.compile(r"\w+")


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Of length 1, or all zeros for a text without words.

    Each word adds to two places, up or down, that its hash says: two words that share a place seldom share both.
    """
    places = [0.0] * dimensions
    for word in _WORD.findall(text.casefold()):
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8, person=b"words").digest()
        for half in (digest[:4], digest[4:]):
            number = int.from_bytes(half, "big")
            places[(number >> 1) % dimensions] += 1.0 if number & 1 else -1.0
    length = math.sqrt(sum(value * value for value in places))
    return [round(value / length, 6) for value in places] if length else places


def word_count(text: str) -> int:
    return sum(1 for _ in _WORD.finditer(text))
