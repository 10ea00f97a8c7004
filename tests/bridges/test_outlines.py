"""What a session knows of a bridge before it is imported is what its declaration says."""

from collections.abc import Mapping

import pytest

from llmspell_kernel.bridges import _registry
from llmspell_kernel.bridges._catalogue import worker_catalogue
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges._outlines import FILE, Outline, built_in_outlines, outline_of, whole_catalogue, written
from llmspell_kernel.bridges._registry import built_in, discover

COMMAND = "python -m llmspell_kernel.bridges._outlines"


def test_the_file_is_what_the_built_in_bridges_declare() -> None:
    assert FILE.read_bytes() == written(), f"a bridge has changed: run {COMMAND}"


def test_the_outlines_of_all_bridges_make_the_catalogue_of_their_declarations() -> None:
    declared = [declare(bridge) for bridge in built_in().values()]
    assert whole_catalogue(built_in_outlines().values()) == worker_catalogue(declared)
    assert whole_catalogue(map(outline_of, declared)) == worker_catalogue(declared)
    assert whole_catalogue([]) == worker_catalogue([])


def test_a_built_in_bridge_without_an_outline_works(monkeypatch: pytest.MonkeyPatch) -> None:
    without: Mapping[str, Outline] = {name: outline for name, outline in built_in_outlines().items() if name != "timer"}
    monkeypatch.setattr(_registry, "built_in_outlines", lambda: without)
    timer = discover().bridges["timer"]
    assert timer.outline == built_in_outlines()["timer"] and timer.source == "llmspell_kernel.bridges.timer"
