"""What a value holds beside its texts."""

from __future__ import annotations

import time
from typing import Any

import pytest

from llmspell_kernel.errors import LimitError
from llmspell_kernel.services.guardrails.texts import inside, is_bound, mapped, names_of, numbers_of, raw_of
from llmspell_kernel.values import EMPTY_TABLE, Callback, ResourceRef


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (7, ["7"]),
        (-7, ["-7"]),
        (4111111111111111.0, ["4111111111111111"]),
        (0.5, ["0.5"]),
        (float("nan"), ["nan"]),
        (1e300, [f"{1e300:.0f}"]),
        (2**64, ["18446744073709551616"]),
        ({"a": [1, {"b": 2}], "c": 1}, ["1", "2"]),
        ([True, None, "3", b"4"], []),
        ([Callback(5), ResourceRef(6, "llm.stream"), EMPTY_TABLE], []),
    ],
)
def test_every_number_is_found_as_it_is_written(value: Any, written: list[str]) -> None:
    assert numbers_of(value) == written


def test_a_small_number_is_left_out_as_a_setting_alone() -> None:
    value = {"seed": 12, "other": 13, "x": {"seed": 1_000_000}, "list": [{"seed": -999_999}]}
    assert sorted(numbers_of(value, ("seed",))) == ["1000000", "13"]


def test_a_number_of_too_many_digits_is_told() -> None:
    with pytest.raises(LimitError, match="more digits than are looked through"):
        numbers_of({"x": 10**5_000})


@pytest.mark.parametrize(
    ("raw", "texts"), [(b"a@b.io", ["a@b.io"]), ("é".encode(), ["é"]), (b"a\xe9@b", ["a\ufffd@b", "aé@b"]), (bytearray(b"x"), ["x"])]
)
def test_bytes_are_read_as_a_script_would(raw: bytes, texts: list[str]) -> None:
    assert raw_of({"a": [raw]}) == texts


def test_a_value_is_gone_through_once_however_deep_it_is() -> None:
    value: Any = {f"a{number}": 1 for number in range(50_000)}
    for _ in range(50):
        value = [{"x": value}]
    assert sum(1 for _ in inside(value)) == 50_000 + 1 + 100
    started = time.process_time()
    assert len(names_of(value)) == 50_050
    assert time.process_time() - started < 0.4


def test_functions_and_things_of_the_host_are_what_they_are() -> None:
    value = {"a": [Callback(1), "x"], "b": ResourceRef(2, "llm.stream"), "c": EMPTY_TABLE}
    assert mapped(value, str.upper) == {**value, "a": [Callback(1), "X"]}
    assert is_bound(value) and not is_bound({"a": [EMPTY_TABLE, 1]})
