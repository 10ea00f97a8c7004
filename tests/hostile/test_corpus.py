"""No attack of the corpus gets out of its state, and each is answered in time.

What must hold whatever a script does stands in arena.py: a reply in time, bounded memory of worker and host, untouched canaries, no secret
told, and `1 + 1` answered by every engine afterwards, in the same state where the script did not have to be stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_kernel.policy.limits import PRESETS

from .arena import SHORT, Arena
from .attack_files import ENGINES, Attack, read_attacks

ATTACKS = read_attacks()
FEWEST = 100
each_attack = pytest.mark.parametrize(
    ("engine", "attack"),
    [pytest.param(engine, attack, id=f"{attack.topic}:{attack.name}-{engine}") for attack in ATTACKS for engine in attack.engines],
)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("canaries"), shared=True, **SHORT)
    yield made
    made.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_there_are_at_least_a_hundred_attacks_an_engine(engine: str) -> None:
    assert sum(engine in attack.engines for attack in ATTACKS) >= FEWEST
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@each_attack
def test_an_attack_is_contained(arena: Arena, attack: Attack, engine: str) -> None:
    assert arena.attack(attack, engine) == []


@pytest.fixture(scope="module", params=sorted(PRESETS))
def preset_arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The preset's own memory, output and effects.  Its time is cut: an endless loop ends no other way after a minute than after a second."""
    made = Arena(tmp_path_factory.mktemp("canaries"), request.param, script_time_s=1.0, total_time_s=3.0)
    yield made
    made.close()


@pytest.mark.slow
@each_attack
def test_an_attack_is_contained_under_every_preset(preset_arena: Arena, attack: Attack, engine: str) -> None:
    assert preset_arena.attack(attack, engine) == []


@pytest.mark.timeout(600)
def test_all_attacks_one_after_the_other_in_one_state_leave_it_answering(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each finds what the ones before it left: filled memory, changed built-ins.  How it ends by itself is another test's.

    What is stuck in native code comes last, as it takes the whole state along.
    """
    found = {engine: _in_one_state(engine, tmp_path_factory.mktemp("canaries")) for engine in ENGINES}
    assert found == {engine: {} for engine in ENGINES}


def _in_one_state(engine: str, folder: Path) -> dict[str, list[str]]:
    # hundreds of attacks in one state are no history to go through again: a lost state is fresh here
    arena = Arena(folder, shared=True, **SHORT | {"script_time_s": 0.1, "total_time_s": 0.5, "history_bytes": 0})
    broken = {}
    for attack in sorted(ATTACKS, key=lambda each: each.topic in ("native", "stuck")):
        if engine in attack.engines:
            _, broken[attack.name] = arena.play(engine, attack.cells(engine, arena.canaries.names()), state="shared")
    arena.close()
    return {name: found for name, found in broken.items() if found}
