"""What `llmspell policy` shows: every value with its origin, every rule with its source, every layer with its state."""

from __future__ import annotations

import pytest

from llmspell_kernel.configuration.policy_overview import overview, parts, text
from llmspell_kernel.configuration.rules import CHECKS, Entry, apply
from llmspell_kernel.policy.decide import narrowed
from llmspell_kernel.policy.presets import PRESETS
from llmspell_kernel.settings import Origin, Settings

DEFAULTS = Settings()


def lines(settings: Settings = DEFAULTS, layers: dict[str, str] | None = None, **states: object) -> list[list[str]]:
    shown = text(overview(settings, layers, states))  # type: ignore[arg-type]
    return [line.split() for line in shown.splitlines()]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_key_of_every_table_is_shown_once(preset: str) -> None:
    shown = [line.name for part in parts(overview(Settings(preset=preset), {}, {})) if part.title.startswith("[") for line in part.lines]
    assert shown == [key.partition(".")[2] for key in CHECKS if "." in key and not key.startswith("grants.")]


def test_a_value_has_its_unit_and_its_origin() -> None:
    settings = apply(Settings(), [Entry("limits.memory_bytes", 64 * 1024 * 1024, Origin("mine.toml", 3, 1))], engines=[])
    shown = lines(settings)
    assert ["memory_bytes", "64", "MiB", "mine.toml,", "line", "3"] in shown
    assert ["script_time_s", "20", "s", "default"] in shown


def test_each_rule_is_shown_with_its_source() -> None:
    settings = apply(Settings(preset="strict"), [Entry("grants.deny", ["log.*"], Origin("x"))], engines=[])
    shown = [" ".join(line) for line in lines(settings, **{"lua 'a'": (narrowed("a", ["llm.*"], []),)})]
    assert any(
        line.startswith("the preset strict") and "http.*" in line and "ask before what is of the level write" in line for line in shown
    )
    assert any(line.startswith("your settings") and "deny ['log.*']" in line for line in shown)
    assert any(line.startswith("the state 'a'") and "allow ['llm.*']" in line for line in shown)


def test_a_layer_is_active_missing_or_not_known_yet() -> None:
    assert ["landlock", "active"] in lines(layers={"privileges": "", "landlock": "", "seccomp": ""})
    assert ["seccomp", "missing:", "no", "filters"] in lines(layers={"privileges": "", "landlock": "", "seccomp": "no filters"})
    assert any(line[:2] == ["seccomp", "not"] and "first" in line for line in lines())
    strict = [" ".join(line) for line in lines(Settings(preset="strict"), {"landlock": "too old"})]
    assert any("missing: too old, and no script runs without it" in line for line in strict)
    assert any(line[:2] == ["none", "confinement"] for line in lines(Settings(confinement="off")))


def test_servers_are_shown_with_what_they_run_where_there_are_any() -> None:
    declared = Settings(mcp={"shop": {"command": ["shop", "--open"]}, "maps": {"url": "https://maps.example/mcp"}})
    (found,) = [part for part in parts(overview(declared, None, {})) if part.title.startswith("MCP servers")]
    assert [(line.name, line.value) for line in found.lines] == [("shop", "shop --open"), ("maps", "https://maps.example/mcp")]
    assert "MCP servers" not in text(overview(Settings(), None, {}))
