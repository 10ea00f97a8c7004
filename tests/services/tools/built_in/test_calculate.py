"""The tool `calculate`."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llmspell_kernel.errors import LimitError, ScriptError

from .using import problems, use


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("-(2 + 3) ** 2", -25),
        ("7 // 2", 3),
        ("7 % 4", 3),
        ("1 / 4", 0.25),
        ("2 ** 62", 2**62),
        ("sqrt(2)", math.sqrt(2)),
        ("log(8, 2)", 3.0),
        ("sin(pi / 2)", 1.0),
        ("max(1, 2.5, -3)", 2.5),
        ("round(2.345, 2)", 2.35),
        ("round(12345, -2)", 12300),
        ("factorial(5)", 120),
        ("comb(5, 2) + gcd(12, 18)", 16),
        ("mean(1, 2, 6)", 3.0),
        ("1_000 + 1e3", 2000.0),
        ("  1 +\t1 ", 2),
    ],
)
def test_arithmetic_is_computed(expression: str, value: Any) -> None:
    found = use("calculate", expression=expression)
    assert found == value and type(found) is type(value)


def test_whole_numbers_beyond_64_bits_are_given_as_all_their_digits() -> None:
    assert use("calculate", expression="2 ** 63 - 1") == 2**63 - 1
    assert use("calculate", expression="2 ** 63") == "9223372036854775808"
    assert use("calculate", expression="factorial(30) + 1") == str(math.factorial(30) + 1)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("1 + 2 / (3 - 3)", "a division by zero, at character 5"),
        ("  1 / 0", "a division by zero, at character 3"),
        ("2 ^ 3", "'^' has no meaning here; a power is written **, at character 3"),
        ("5!", "write factorial(n), at character 2"),
        ("1 + foo(2)", "there is no function 'foo'; did you mean 'floor'?, at character 5"),
        ("1 + pie", "'pie' is not known; did you mean 'pi'"),
        ("sin", "'sin' is a function: write its arguments in brackets, at character 1"),
        ("max(1)", "max takes 2 to 100 arguments, not 1"),
        ("sqrt(-1)", "the function has no value there"),
        ("(-8) ** 0.5", "a negative number has no such power"),
        ("gcd(4, 2.5)", "it takes whole numbers"),
        ("1e308 * 10", "too large for a floating point number"),
        ("1 if 2 else 3", "this is no arithmetic"),
        ("1, 2", "this is no arithmetic"),
        ("(1", "'(' was never closed, at character 1"),
        ("   ", "the expression is empty"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(expression: str, says: str) -> None:
    with pytest.raises(ScriptError) as caught:
        use("calculate", expression=expression)
    assert caught.value.code == "expression"
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os')",
        "(1).real",
        "pi.__class__",
        "[1][0]",
        "f'{1}'",
        "lambda: 1",
        "open(1)",
        "max(*(1, 2))",
        "round(1, ndigits=2)",
        "1j",
    ],
)
def test_nothing_but_arithmetic_is_evaluated(expression: str) -> None:
    with pytest.raises(ScriptError):
        use("calculate", expression=expression)


@pytest.mark.parametrize(
    "expression",
    ["9**9**9", "10**100000", "(2**4000) * (2**4000)", "9" * 1_900, "-" * 100 + "1", "1+" * 70 + "1"],
)
def test_what_would_be_too_large_or_too_deep_meets_a_limit(expression: str) -> None:
    with pytest.raises(LimitError):
        use("calculate", expression=expression)


def test_an_expression_that_is_too_long_does_not_fit_the_schema() -> None:
    assert [problem.path for problem in problems("calculate", {"expression": "1+" * 1_000 + "1"})] == ["$.expression"]
