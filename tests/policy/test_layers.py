"""Which layers a preset asks for, and that they cannot be switched off where they are required."""

from __future__ import annotations

import pytest

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.policy.layers import MODES, PRESET_LAYERS, Confinement, confinement_of
from llmspell_kernel.policy.limits import PRESETS
from llmspell_kernel.workers.confinement import LAYERS
from llmspell_kernel.workers.spawn import SAFE_LAYERS


def test_every_preset_has_layers_that_workers_know() -> None:
    assert PRESET_LAYERS.keys() == PRESETS.keys()
    for confinement in PRESET_LAYERS.values():
        assert set(confinement.layers) <= set(LAYERS)


def test_strict_requires_what_standard_takes_where_it_is() -> None:
    standard, strict = confinement_of("standard"), confinement_of("strict")
    assert confinement_of("minimal") == Confinement()
    assert (standard.required, strict.required, strict.shields_host) == (False, True, True)
    assert {name.removesuffix("_strict") for name in strict.layers} == set(standard.layers)


def test_a_worker_that_is_started_before_the_settings_are_read_has_the_layers_of_standard() -> None:
    assert confinement_of("standard").layers == SAFE_LAYERS


def test_confinement_is_switched_off_except_in_strict() -> None:
    for preset in ("minimal", "standard"):
        assert confinement_of(preset, "off") == Confinement()
    with pytest.raises(ConfigError, match=r"key 'confinement': cannot be 'off' with the preset strict"):
        confinement_of("strict", "off")


def test_an_unknown_preset_or_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'strict'"):
        confinement_of("strikt")
    with pytest.raises(ConfigError, match="'of', which is none of auto, off"):
        confinement_of("standard", "of")
    assert MODES == ("auto", "off")
