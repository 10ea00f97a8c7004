"""Limits: one table of defaults, and what is said of one that was met."""

from __future__ import annotations

import pytest

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.policy.limits import PRESETS, Limits, limits_of, raising, told
from llmspell_kernel.protocol.conversation import MAX_OPEN_EFFECTS


def test_no_limit_of_a_stricter_preset_is_wider() -> None:
    for wider, stricter in (("minimal", "standard"), ("standard", "strict")):
        assert all(ours <= theirs for ours, theirs in zip(PRESETS[stricter], PRESETS[wider], strict=True))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_value_that_is_allowed_can_be_an_argument(preset: str) -> None:
    limits = PRESETS[preset]
    assert limits.call_bytes >= limits.value_bytes
    assert limits.calls_in_flight <= MAX_OPEN_EFFECTS


def test_a_limit_that_was_met_is_told_with_its_number_and_the_way_to_raise_it() -> None:
    assert told("instructions", 1_500_000_000) == "the cell ran more than its 1,500,000,000 instructions"
    assert told("script_time_s", 0.5) == "the script ran for more than its 0.5 s"
    for name in Limits._fields:
        assert told(name, 1)
        assert raising(name) == f"raise it with %llmspell config limits.{name}=... (in a shell: --set limits.{name}=...)"
    assert raising("requests") == ""


def test_an_unknown_limit_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'instructions'"):
        limits_of("standard", {"instruction": 5})
