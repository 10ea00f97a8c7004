"""What holds of a table: its defaults, then the preset's, then the settings'; and every table says truthfully what a guest may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.policy import presets, tables
from llmspell_kernel.policy.budgets import Amount
from llmspell_kernel.policy.decide import narrowed
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.policy.limits import PRESETS, Limits, MiB, limits_of
from llmspell_kernel.policy.network import NetworkPolicy
from llmspell_kernel.policy.numbers import FromZero
from llmspell_kernel.policy.presets import Preset
from llmspell_kernel.policy.tables import TABLES, table_of, values_of
from llmspell_kernel.settings import Settings


@pytest.mark.parametrize("preset", PRESETS)
def test_the_limits_of_a_preset_are_its_own_until_one_is_changed(preset: str) -> None:
    assert limits_of(preset, {}) == PRESETS[preset]
    changed = limits_of(preset, {"effects": 7})
    assert changed.effects == 7
    assert changed._replace(effects=PRESETS[preset].effects) == PRESETS[preset]


@pytest.mark.parametrize(
    ("preset", "changes", "told", "key"),
    [("strickt", {}, "did you mean 'strict'", "preset"), ("standard", {"efects": 1}, "did you mean 'effects'", "limits.efects")],
)
def test_a_preset_or_limit_there_is_not_is_refused_with_the_nearest(preset: str, changes: Mapping[str, Any], told: str, key: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        limits_of(preset, changes)
    assert caught.value.key == key


def test_each_preset_is_tighter_than_the_one_before() -> None:
    ordered = [PRESETS[name] for name in ("minimal", "standard", "strict")]
    for wider, tighter in zip(ordered, ordered[1:], strict=False):
        assert all(new <= old for old, new in zip(wider, tighter, strict=True))


def test_a_worker_may_grow_by_more_than_its_states_own_limit_and_not_without_end() -> None:
    for limits in PRESETS.values():
        assert 2 * limits.memory_bytes < limits.data_bytes < 10 * limits.memory_bytes + 512 * MiB


def test_what_a_table_does_not_say_is_its_default_and_the_preset_stands_below_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert table_of(Settings(), NetworkPolicy) == NetworkPolicy()
    own = Preset(
        PRESETS["strict"], presets.PRESETS["strict"].confinement, presets.PRESETS["strict"].grants, {"network": {"allow": ("a.org",)}}
    )
    monkeypatch.setattr(tables, "PRESETS", {**presets.PRESETS, "strict": own})
    assert table_of(Settings(preset="strict"), NetworkPolicy).allow == ("a.org",)
    assert table_of(Settings(preset="strict", network={"allow": ("b.org",)}), NetworkPolicy).allow == ("b.org",)
    assert table_of(Settings(network={"deny": ("c.org",)}), NetworkPolicy) == NetworkPolicy(deny=("c.org",))
    assert table_of(Settings(preset="strict"), FilePolicy) == FilePolicy()


def test_limits_are_a_table_like_the_others() -> None:
    assert values_of(Settings(preset="strict", limits={"effects": 3}), "limits") == PRESETS["strict"]._replace(effects=3)


@pytest.mark.parametrize("name", TABLES)
def test_what_a_guest_may_change_of_a_table_is_a_field_of_it_in_a_direction_that_fits(name: str) -> None:
    table = TABLES[name]
    assert set(table.tighter) <= set(table.kind._fields)
    texts = tuple[str, ...]
    directions: dict[str, tuple[Any, ...]] = {
        "lower": (int, float, bool, FromZero, Amount),
        "covered": (texts, tuple[int, ...]),
        "hosts": (texts,),
        "paths": (texts,),
        "adds": (texts,),
    }
    for field, direction in table.tighter.items():
        assert table.types[field] in directions[direction], field


def test_a_guest_may_only_lower_limits() -> None:
    assert dict(TABLES["limits"].tighter) == dict.fromkeys(Limits._fields, "lower")


def test_a_state_narrowed_by_denials_alone_keeps_what_its_session_grants() -> None:
    assert tuple(narrowed("main", (), ("llm.*",)).allow) == ("*",)
    assert tuple(narrowed("main", ("llm.chat",), ()).allow) == ("llm.chat",)
    assert "'main'" in narrowed("main", (), ()).source
