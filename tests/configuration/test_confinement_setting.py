"""Who may switch confinement off: the user, never a project's file, and nobody in strict."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel.configuration.rules import Entry, apply
from llmspell_kernel.configuration.sources import read_settings
from llmspell_kernel.engines._registry import discover
from llmspell_kernel.errors import ConfigError
from llmspell_kernel.settings import Origin, Settings

PROJECT = Origin("llmspell.toml", 2)


def project(own: Settings, value: str) -> Settings:
    return apply(own, [Entry("confinement", value, PROJECT)], engines=[], guest=True)


def read(folder: Path, user: str = "", **environ: str) -> Settings:
    config = folder / "config" / "llmspell"
    config.mkdir(parents=True, exist_ok=True)
    (config / "config.toml").write_text(user, encoding="utf-8")
    return read_settings({"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), **environ}, folder, discover())


def test_a_project_may_not_switch_confinement_off() -> None:
    with pytest.raises(
        ConfigError, match=r"llmspell.toml, line 2, key 'confinement': 'off' is looser than your own auto|off is looser than your own auto"
    ):
        project(Settings(), "off")


def test_a_project_may_switch_on_what_its_user_switched_off() -> None:
    assert project(Settings(confinement="off"), "auto").confinement == "auto"
    assert project(Settings(confinement="off"), "off").confinement == "off"


def test_the_user_switches_it_off_by_file_or_variable(tmp_path: Path) -> None:
    assert read(tmp_path).confinement == "auto"
    assert read(tmp_path, 'confinement = "off"').confinement == "off"
    assert read(tmp_path, LLMSPELL_CONFINEMENT="off").confinement == "off"


def test_strict_and_off_contradict_each_other_wherever_each_comes_from(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config.toml, line 1, column 1, key 'confinement': cannot be 'off' with the preset strict"):
        read(tmp_path, 'confinement = "off"', LLMSPELL_PRESET="strict")
    assert read(tmp_path, 'confinement = "off"\npreset = "strict"', LLMSPELL_PRESET="standard").confinement == "off"


def test_a_wrong_value_names_the_right_ones() -> None:
    with pytest.raises(ConfigError, match="is 'of', which is none of auto, off; did you mean 'off'"):
        apply(Settings(), [Entry("confinement", "of", PROJECT)], engines=[])
