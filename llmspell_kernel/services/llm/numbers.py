"""Numbers of a list that others wrote: prices and sizes that make sense, or nothing.  Pure."""

from __future__ import annotations

from typing import Any

DEAREST_TOKEN_USD = 1.0
"""A hundred times what the dearest known token costs; a price above is a mistake."""
LONGEST_TOKENS = 1_000_000_000


def price_of(value: Any) -> float | None:
    """US dollars for a token; None for what is no price, such as a text, NaN or a negative number."""
    return float(value) if _is_number(value) and 0 <= value <= DEAREST_TOKEN_USD else None


def tokens_of(value: Any) -> int:
    """0 for what is no number of tokens."""
    return int(value) if _is_number(value) and 0 < value <= LONGEST_TOKENS else 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
