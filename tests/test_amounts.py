"""Amounts of bytes: what is shown can be written again, and means the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from llmspell_kernel.amounts import bytes_of, exact_size, size


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (512, "512 B"), (65_536, "64 KiB"), (134_217_728, "128 MiB"), (5_000_000, "4.768 MiB"), (3 * 2**40, "3072 GiB")],
)
def test_a_size_is_told_in_the_largest_unit_that_it_fills(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(("text", "number"), [("64MiB", 2**26), (" 1.5 GiB ", 3 * 2**29), ("1_024 KiB", 2**20), ("7B", 7)])
def test_a_size_is_written_with_a_unit(text: str, number: int) -> None:
    assert bytes_of(text) == number


@pytest.mark.parametrize("text", ["64", "MiB", "-1 MiB", "1e9 MiB", "64 MiB 3", "\u0663 MiB", "9" * 500 + " MiB", ""])
def test_what_is_no_size_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="'64 MiB'"):
        bytes_of(text)


@pytest.mark.parametrize("unit", ["MB", "mib", "M", "TiB"])
def test_a_wrong_unit_is_named_with_those_there_are(unit: str) -> None:
    with pytest.raises(ValueError, match=f"the unit '{unit}', which is none of B, KiB, MiB, GiB"):
        bytes_of(f"64 {unit}")


@given(some.integers(0, 2**50))
def test_an_exact_size_loses_nothing(number: int) -> None:
    text = exact_size(number)
    assert (int(text.replace("_", "")) if text.replace("_", "").isdigit() else bytes_of(text)) == number
