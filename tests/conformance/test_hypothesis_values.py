"""Generated values go into every engine, through the host and back out, changed only as the value table says."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmspell_kernel.values import INT_MAX, INT_MIN, Value

from .engines import CASES_OF, ENGINES, spelled
from .expectation import same
from .world import World

ECHO = {"lua": "probe.echo(x)", "javascript": "await probe.echo(x)"}
DEPTH = 5

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(INT_MIN, INT_MAX),
    st.integers(-5, 5),
    st.floats(),
    st.integers(-(2**60), 2**60).map(float),
    st.text(max_size=20),
    st.text(alphabet='\0\x7f\n"\\/$é東🦊\u2028', max_size=6),
    st.binary(max_size=20),
)
KEYS = st.one_of(st.text(max_size=8), st.sampled_from(["$", "", "__proto__", "length", "1", "toJSON", "then", "constructor"]))


def nested(depth: int) -> st.SearchStrategy[Value]:
    if depth == 0:
        return LEAVES
    inner = nested(depth - 1)
    return st.one_of(LEAVES, st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4))


def in_lua(value: Value) -> Value:
    """A member of nothing is no member; a string is bytes, and is text for the host where it is valid UTF-8."""
    match value:
        case list():
            return [in_lua(item) for item in value]
        case dict():
            return {key: in_lua(item) for key, item in value.items() if item is not None}
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value
    return value


def in_javascript(value: Value) -> Value:
    """There is one kind of number: an integral one is an integer for the host, but for minus zero and what is beyond 64 bits."""
    match value:
        case list():
            return [in_javascript(item) for item in value]
        case dict():
            return {key: in_javascript(item) for key, item in value.items()}
        case float() if value.is_integer() and INT_MIN <= value <= INT_MAX and not _is_minus_zero(value):
            return int(value)
    return value


def _is_minus_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0


NORMALISED: dict[str, Any] = {"lua": in_lua, "javascript": in_javascript}


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(value=nested(DEPTH))
@example(value={"$": ["b", "AAAA"], "x": {"$": {"$": None}}})
@example(value=[None, [], {}, [[]], {"a": []}, b"\xff", b"text", -0.0, 2.0**53, -(2.0**63), 1e300, 2**53 + 1])
def test_a_value_comes_back_as_the_value_table_says(world: World, engine: str, value: Value) -> None:
    language = CASES_OF.get(engine, engine)
    outcome = world.run(world.session.run(spelled(ECHO[language], engine), engine=engine, state="generated", inputs={"x": value}))
    assert outcome.error is None, repr(outcome.error)
    expected = NORMALISED[language](value)
    assert same(outcome.values, [expected]), f"{outcome.values!r}, not {[expected]!r}"
