"""Files of saved states that somebody made by hand, each line with its right checksum: one error that names the line, and no state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmspell_kernel.errors import LoadError
from llmspell_kernel.journal.checked_lines import with_sum

from .test_recovery import World, play
from .world import ENGINES

STATE: dict[str, Any] = {"name": "main", "seed": 7, "entropy": "ab" * 16, "opened_s": 1.7e9, "cells": 1}
CELL: dict[str, Any] = {"number": 1, "chunk": "cell[1]", "code": "x = 1", "began_s": 1.7e9}


def write(file: Path, engine: str, state: dict[str, Any], cell: dict[str, Any]) -> None:
    lines = [{"llmspell_states": 1, "states": 1}, {**STATE, "engine": engine, **state}, {**CELL, **cell}]
    file.write_bytes(b"".join(with_sum(msgspec.json.encode(line)) for line in lines))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("state", [{}, {"entropy": ""}, {"seed": -(2**63)}, {"seed": 2**63 - 1}, {"opened_s": 0}])
def test_what_a_saved_state_may_hold_comes_back(engine: str, state: dict[str, Any], tmp_path: Path) -> None:
    async def body(world: World) -> None:
        write(tmp_path / "n.states.jsonl", engine, state, {})
        await world.session.resume(tmp_path / "n.states.jsonl")
        assert await world.session.get("x", engine=engine) == 1

    play(engine, body)


@pytest.mark.parametrize(
    ("state", "cell", "line"),
    [
        ({"seed": 2**63}, {}, 2),
        ({"seed": -(2**63) - 1}, {}, 2),
        ({"seed": 10**40}, {}, 2),
        ({"entropy": "z" * 32}, {}, 2),
        ({"entropy": "ab" * 16 + "\n"}, {}, 2),
        ({"entropy": "a"}, {}, 2),
        ({"entropy": "ab" * 1_000_000}, {}, 2),
        ({"opened_s": 1e308}, {}, 2),
        ({"opened_s": -1}, {}, 2),
        ({"cells": 0}, {}, 2),
        ({"cells": -1}, {}, 2),
        ({}, {"began_s": 1e308}, 3),
        ({}, {"began_s": -1e308}, 3),
        ({}, {"times": [1e300], "calls": 1}, 3),
        ({}, {"number": 2**63}, 3),
        ({}, {"number": -1}, 3),
        ({}, {"calls": -1}, 3),
        ({}, {"function": "print", "arguments": 5}, 3),
        ({}, {"function": "print", "arguments": [{"$": ["q"]}]}, 3),
        ({}, {"inputs": {"y": {"$": ["b", "!"]}}}, 3),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_values_that_no_state_has_are_refused_at_their_line(
    engine: str, state: dict[str, Any], cell: dict[str, Any], line: int, tmp_path: Path
) -> None:
    file = tmp_path / "n.states.jsonl"

    async def body(world: World) -> None:
        write(file, engine, state, cell)
        with pytest.raises(LoadError, match="is not what saved states have here: ") as caught:
            await world.session.resume(file)
        assert (caught.value.file, caught.value.line) == (file.name, line)
        assert not world.session.states and len(caught.value.message) < 300
        assert await world.run(lua="return 1", javascript="1") == [1]

    play(engine, body)
