"""A price that nobody knows is not 0."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmspell_kernel.services.llm.catalogue import PRICES_FILE, _litellm_folder
from llmspell_kernel.services.llm.prices import known_cost

LISTED: dict[str, dict[str, Any]] = {
    "together_ai/no-price": {"mode": "chat", "max_tokens": 9},
    "bare-name": {"mode": "chat"},
    "gemini/free": {"mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0},
    "dashscope/tiers": {"mode": "chat", "tiered_pricing": []},
}


@pytest.mark.parametrize(
    ("cost", "name", "known"),
    [
        (0.25, "together_ai/no-price", 0.25),
        (0.0, "together_ai/no-price", None),
        (0.0, "openai/bare-name", None),
        (0.0, "bare-name", None),
        (0.0, "gemini/free", 0.0),
        (0.0, "dashscope/tiers", 0.0),
        (0.0, "ollama_chat/mine", 0.0),
    ],
)
def test_a_cost_of_0_is_a_price_only_where_the_list_does_not_lack_one(cost: float, name: str, known: float | None) -> None:
    assert known_cost(cost, name, LISTED) == known


def test_the_list_that_is_installed_has_models_of_both_kinds() -> None:

    listed = msgspec.json.decode((_litellm_folder() / PRICES_FILE).read_bytes(), type=dict[str, dict[str, Any]])
    assert known_cost(0.0, "snowflake/gemma-7b", listed) is None
    assert known_cost(0.0, "ollama_chat/llama3.2", listed) == 0.0
    assert known_cost(0.0, "openai/gpt-4o-mini", listed) == 0.0
