"""A script's results as the last line of stdout."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmspell_kernel.cli._json_value import json_line
from llmspell_kernel.values import EMPTY_TABLE, Callback, Opaque, ResourceRef


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([None], None),
        ([3], 3),
        ([[1, 2]], [1, 2]),
        ([1, "b"], [1, "b"]),
        ([b"\x00\xff"], "AP8="),
        ([Opaque("function: 0x1")], "function: 0x1"),
        ([{"f": Callback(1), "s": ResourceRef(3, "llm.stream")}], {"f": "function", "s": "llm.stream 3"}),
        ([{"e": EMPTY_TABLE}], {"e": {}}),
        ([[float("nan"), float("inf"), 1.5]], [None, None, 1.5]),
        ([True], True),
    ],
)
def test_results_are_json(values: list[Any], expected: Any) -> None:
    assert json.loads(json_line(values)) == expected


def test_text_is_one_readable_line() -> None:
    assert json_line(["Grüße\n"]) == '"Grüße\\n"'
