"""Clocks inside the languages show what the host tells, so that the same steps show the same times again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from llmspell_kernel.engines._engine import Options, State
from llmspell_kernel.engines.javascript import interpreter as javascript
from llmspell_kernel.engines.lua import interpreter as lua
from llmspell_kernel.protocol.steps import UNLIMITED, Answer, Finished, Step, Suspended

from .javascript_world import Flag as JavaScriptFlag
from .lua_state import Flag as LuaFlag

SLEEP = {"bridges": {"timer": ["sleep"]}}
TOLD_S = 1_000_000_000.25
"""In September 2001: no clock of a machine shows it."""


@pytest.fixture(params=["lua", "javascript"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def makers() -> dict[str, Callable[[], State]]:
    script_flag = JavaScriptFlag()
    engines = {"lua": lua.create_engine(LuaFlag(), _nothing), "javascript": javascript.create_engine(script_flag, _nothing)}
    return {name: lambda made=made: made.open(Options(state=1, seed=5), SLEEP) for name, made in engines.items()}


def _nothing(stream: int, text: bytes) -> None: ...


def run(state: State, code: str, time_s: float = TOLD_S, chunk: str = "cell[1]") -> Step:
    state.allow(UNLIMITED)
    state.tell_time(time_s)
    return state.start(code, chunk)


def value(step: Step) -> Any:
    assert isinstance(step, Finished), step
    return json.loads(bytes(step.values))[0]


SEEN = {
    "lua": ["os.time()", "os.time() + 0.0", "tonumber(os.date('!%Y'))", "os.date('!*t').year", "os.date('!%c', 0)"],
    "javascript": [
        "Date.now()",
        "new Date().getTime()",
        "+new Date",
        "new (class extends Date {})().getUTCFullYear()",
        "new Date(0).getTime()",
    ],
}
SHOWN = {
    "lua": [1_000_000_000, 1_000_000_000.0, 2001, 2001, "Thu Jan  1 00:00:00 1970"],
    "javascript": [1_000_000_000_250, 1_000_000_000_250, 1_000_000_000_250, 2001, 0],
}


def test_every_clock_shows_the_time_that_the_host_told(makers: dict[str, Callable[[], State]], engine: str) -> None:
    state = makers[engine]()
    assert [value(run(state, code)) for code in SEEN[engine]] == SHOWN[engine]


def test_a_date_that_is_called_as_a_function_is_the_hosts_time_as_text(makers: dict[str, Callable[[], State]]) -> None:
    state = makers["javascript"]()
    assert value(run(state, "Date() === new Date().toString() && Date().includes('2001')")) is True


def test_the_date_of_scripts_is_the_languages_own_in_all_else(makers: dict[str, Callable[[], State]]) -> None:
    state = makers["javascript"]()
    code = """[Date.length, Date.name, new Date(2020, 1, 2).getDate(), Date.UTC(1970, 0, 1), Date.parse("1970-01-01"), new Date() instanceof Date,
      new Date().constructor === Date, Object.prototype.toString.call(new Date()), structuredClone(new Date(7)).getTime()]"""
    assert value(run(state, code)) == [7, "Date", 2, 0, 0, True, True, "[object Date]", 7]


def test_time_never_goes_backwards(makers: dict[str, Callable[[], State]], engine: str) -> None:
    state = makers[engine]()
    first = value(run(state, SEEN[engine][0], TOLD_S + 60))
    assert value(run(state, SEEN[engine][0], TOLD_S)) >= first


WAIT = {
    "lua": "local t = os.time() while os.time() < t + 1 do for i = 1, 1e5 do end end return os.time() - t",
    "javascript": "const t = Date.now(); while (Date.now() < t + 20); Date.now() - t >= 20 ? 1 : 0",
}
GROWS = {
    "lua": "local c = os.clock() for i = 1, 1e6 do end return os.clock() > c",
    "javascript": "const c = Date.now(); for (let i = 0; i < 1e6; i++); Date.now() > c",
}


def test_a_script_that_waits_by_the_clock_comes_to_its_end(makers: dict[str, Callable[[], State]], engine: str) -> None:
    assert value(run(makers[engine](), WAIT[engine])) == 1


def test_clocks_go_on_with_what_runs(makers: dict[str, Callable[[], State]], engine: str) -> None:
    assert value(run(makers[engine](), GROWS[engine])) is True


DRAW = {
    "lua": """
local seen = {}
for i = 1, 30 do for j = 1, 3333 * i do end seen[#seen + 1] = os.clock() seen[#seen + 1] = math.random() if i % 10 == 0 then sleep(1) end end
math.randomseed()
seen[#seen + 1] = math.random()
return seen""",
    "javascript": """
const seen = [];
for (let i = 1; i <= 30; i++) { for (let j = 0; j < 3333 * i; j++); seen.push(Date.now(), Math.random()); if (i % 10 === 0) await sleep(1) }
seen""",
}


def times(state: State, code: str, disturb: Sequence[str] = ()) -> Any:
    """What the script saw, with one question of the host after each step."""
    step, told_s = run(state, code), TOLD_S
    while isinstance(step, Suspended):
        for text in disturb:
            state.query("members", text, b"null")
        told_s += 1.5
        state.tell_time(told_s)
        step = state.resume([Answer(effect.id) for effect in step.effects], [])
    return value(step), step.instructions


def test_the_same_steps_show_the_same_times_numbers_and_instructions_whatever_the_host_asks_between(
    makers: dict[str, Callable[[], State]], engine: str
) -> None:
    seen, instructions = times(makers[engine](), DRAW[engine])
    assert instructions > 1_000_000
    assert times(makers[engine](), DRAW[engine]) == (seen, instructions)
    assert times(makers[engine](), DRAW[engine], ["", "math" if engine == "lua" else "Math"]) == (seen, instructions)
