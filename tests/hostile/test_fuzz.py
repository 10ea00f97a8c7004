"""A slice of the made-up scripts of fuzz_scripts.py; `make fuzz` runs them by the thousand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .arena import Arena
from .attack_files import ENGINES
from .fuzz_scripts import LIMITS, made_up, real_names, wrong_with

SEEDS = range(40)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("canaries"), shared=True, **LIMITS)
    yield made
    made.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_made_up_scripts_are_contained(arena: Arena, engine: str) -> None:
    names = real_names(arena, engine)
    assert len(names) > 80
    wrong = {seed: found for seed in SEEDS if (found := wrong_with(arena, engine, made_up(engine, names, seed)))}
    assert wrong == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_seed_always_makes_the_same_script(engine: str) -> None:
    assert made_up(engine, ["print", "probe.echo"], 7) == made_up(engine, ["print", "probe.echo"], 7)
