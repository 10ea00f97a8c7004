"""What a case expects against what came: strict about types, because 1, 1.0 and true are equal in Python and different in the value table."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.errors import ScriptError, SpellError
from llmspell_kernel.values import Opaque, Value


def same(found: Value, expected: Value) -> bool:
    """Equal values of equal types, all the way down; NaN is itself and -0.0 is not 0.0.  An Opaque without text is like any other."""
    if type(found) is not type(expected):
        return False
    match expected:
        case list():
            return len(found) == len(expected) and all(map(same, found, expected))
        case dict():
            return found.keys() == expected.keys() and all(same(found[key], item) for key, item in expected.items())
        case float():
            return (math.isnan(found) and math.isnan(expected)) or (
                found == expected and math.copysign(1, found) == math.copysign(1, expected)
            )
        case Opaque(text):
            return text in ("", found.text)
    return bool(found == expected)


def error_differences(error: SpellError, expected: Mapping[str, Any], *, engine: str, has_columns: bool) -> list[str]:
    """One line for each way in which an error is not the expected one."""
    checks: dict[str, Any] = {
        "kind": type(error).__name__,
        "code": error.code,
        "name": error.name if isinstance(error, ScriptError) else "",
        "retryable": error.retryable,
        "frames": [f"{frame.chunk}:{frame.line}" for frame in error.frames],
        "functions": [frame.function for frame in error.frames],
    }
    if has_columns:
        checks["column"] = error.frames[0].column if error.frames else 0
    differences = [
        f"{key}: {found!r}, not {expected[key]!r}" for key, found in checks.items() if key in expected and found != expected[key]
    ]
    if not re.search(expected.get("message", ""), error.message, re.DOTALL):
        differences.append(f"message: {error.message!r} does not match {expected['message']!r}")
    if error.engine != engine:
        differences.append(f"engine: {error.engine!r}")
    return differences


def merged(output: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Printed pieces in order, those of one stream that follow each other joined."""
    pieces: list[list[str]] = []
    for stream, text in output:
        if pieces and pieces[-1][0] == stream:
            pieces[-1][1] += text
        else:
            pieces.append([stream, text])
    return pieces


def of_stream(output: Sequence[tuple[str, str]], stream: str) -> str:
    return "".join(text for which, text in output if which == stream)
