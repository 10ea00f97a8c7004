"""Keys and tokens in texts: by the shapes that providers give them, and by how little chance there is in a word.

The session's own secrets need none of this: they are taken out of all that a script sees, wherever they stand.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from .searching import Found, found_by

SHAPES: Mapping[str, str] = {
    "private key": r"-----BEGIN (?:[A-Z]{1,20} ){0,3}PRIVATE KEY-----[A-Za-z0-9+/=\s]{0,20000}(?:-----END (?:[A-Z]{1,20} ){0,3}PRIVATE KEY-----)?",
    "api key": r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,200}",
    "github token": r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
    "gitlab token": r"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,64}",
    "slack token": r"(?<![A-Za-z0-9])xox[abprs]-[A-Za-z0-9-]{10,250}",
    "aws key": r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])",
    "google key": r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}",
    "stripe key": r"(?<![A-Za-z0-9])[sr]k_(?:live|test)_[A-Za-z0-9]{16,200}",
    "hugging face token": r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,100}",
    "json web token": r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,4000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,4000}",
}
WORD = r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_=-]{24,512}(?![A-Za-z0-9+/_=-])"
ENTROPY_BITS = 4.0
"""A character, of a word that may be a key: English words joined by dashes stay below, random letters and digits are above."""


def secrets(text: str, ends: float) -> Iterator[Found]:
    """Where a key or a token may stand, by its shape or because it looks like chance.  `ends` as `found_by` has it."""
    for kind, shape in SHAPES.items():
        for found, _ in found_by(shape, text, kind, ends):
            yield found
    for found, word in found_by(WORD, text, "token", ends):
        if _looks_random(word):
            yield found


def _looks_random(word: str) -> bool:
    """Letters of both cases and digits mixed; so a hash in hex, a path and a long name are none."""
    kinds = (any(map(str.isupper, word)), any(map(str.islower, word)), any(map(str.isdigit, word)))
    return all(kinds) and word.count("/") < 3 and entropy_bits(word) >= ENTROPY_BITS


def entropy_bits(word: str) -> float:
    """Shannon's, a character."""
    return -sum(count / len(word) * math.log2(count / len(word)) for count in Counter(word).values())
