"""Every case on every engine of the registry: a further engine is held to the same cases at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from .case_files import AROUND, EXPECTATIONS, OTHER, Case, read_cases, value_of
from .engines import CASES_OF, ENGINES
from .expectation import error_differences, merged, of_stream, same
from .world import Played, World

CASES = read_cases()
FEWEST_CASES = 500
"""Cases that every engine has; those that one language cannot have come on top, each with its reason."""


@pytest.fixture(scope="module")
def columns(world: World) -> Mapping[str, bool]:
    """Which engines say the column of an error."""
    return {engine: bool(world.facts(engine)["columns"]) for engine in ENGINES}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}:{case.name}")
def test_an_engine_answers_as_every_other_does(world: World, columns: Mapping[str, bool], case: Case, engine: str) -> None:
    if case.absent(engine):
        pytest.skip(case.absent(engine))
    assert CASES_OF.get(engine, engine) in case.raw, f"the case has no code for {engine}; write it, or say why not in absent.{engine}"
    played = world.play(case, engine)
    differences = _earlier_cells(case, played) + _last_cell(case, engine, played, columns[engine])
    assert not differences, "\n".join(["", *case.code(engine), "", *differences])


def test_every_case_says_only_what_is_known_and_expects_something() -> None:
    known = EXPECTATIONS | AROUND | OTHER | set(ENGINES)
    for case in CASES:
        assert not case.raw.keys() - known, case.name
        for engine in ENGINES:
            assert case.expected(engine) or case.absent(engine), f"{case.name} expects nothing of {engine}"
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_suite_is_large_and_nearly_all_of_it_runs_on_every_engine() -> None:
    shared = [case for case in CASES if not any(case.absent(engine) for engine in ENGINES)]
    assert len(shared) >= FEWEST_CASES
    assert all(len(case.absent(engine)) > 10 for case in CASES for engine in ENGINES if case.absent(engine)), "a reason is a sentence"


def _earlier_cells(case: Case, played: Played) -> list[str]:
    failing = case.raw.get("failing", [])
    differences = []
    for position, outcome in enumerate(played.outcomes[:-1], 1):
        if outcome.error is None and position in failing:
            differences.append(f"cell {position} did not fail, but gave {outcome.values!r}")
        if outcome.error is not None and position not in failing:
            differences.append(f"cell {position} failed: {outcome.error!r}")
    return differences


def _last_cell(case: Case, engine: str, played: Played, has_columns: bool) -> list[str]:
    outcome, expected = played.outcomes[-1], case.expected(engine)
    differences = [text for name, found, wanted in _compared(expected, played) if (text := _difference(name, found, wanted))]
    if "error" in expected and outcome.error is None:
        differences.append(f"no error, but {_shortened(outcome.values)}")
    elif "error" in expected and outcome.error is not None:
        differences += error_differences(outcome.error, expected["error"], engine=engine, has_columns=has_columns)
    elif outcome.error is not None:
        frames = [f"{frame.chunk}:{frame.line}" for frame in outcome.error.frames]
        differences.append(f"{type(outcome.error).__name__}: {outcome.error} {frames}")
    return differences


def _compared(expected: Mapping[str, Any], played: Played) -> list[tuple[str, Any, Any]]:
    """(what, found, wanted) for each expectation but the error."""
    outcome = played.outcomes[-1]
    compared: list[tuple[str, Any, Any]] = []
    if "value" in expected:
        compared.append(("values", outcome.values, [value_of(expected["value"])]))
    if "values" in expected:
        compared.append(("values", outcome.values, [value_of(item) for item in expected["values"]]))
    if "found" in expected:
        compared.append(("found", outcome.outputs, value_of(expected["found"])))
    if "output" in expected:
        compared.append(("output", merged(played.printed), expected["output"]))
    if "chunks" in expected:
        compared.append(("chunks", played.chunks, expected["chunks"]))
    for stream in {"stdout", "stderr"} & expected.keys():
        compared.append((stream, of_stream(played.printed, stream), value_of(expected[stream])))
    return compared


def _difference(name: str, found: Any, wanted: Any) -> str:
    return "" if same(found, wanted) else f"{name}: {_shortened(found)}, not {_shortened(wanted)}"


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]}... ({len(text)} characters)"
