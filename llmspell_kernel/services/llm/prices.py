"""Whether a cost of 0 is a price.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def known_cost(cost_usd: float, name: str, listed: Mapping[str, Mapping[str, Any]]) -> float | None:
    """What litellm makes of an answer; None where its list names the model and no price.

    litellm takes a price that its list does not have for 0, as for some fifty models of hosted providers (1.95-1.101).  A model that is not
    in the list and comes out at 0 is one of a server of one's own, such as ollama's.
    """
    if cost_usd:
        return cost_usd
    entry = listed.get(name) or listed.get(name.partition("/")[2])
    if entry is not None and not any("cost_per" in key or key == "tiered_pricing" for key in entry):
        return None
    return cost_usd
