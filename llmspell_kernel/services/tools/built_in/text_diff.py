"""The tool `text_diff`: a unified diff, by difflib, whose work is counted.

Rule: difflib compares every line with every like one, which for two texts of a thousand thousand empty lines never ends.  So its steps are counted;
once they are used up, what is left between two common parts is shown as replaced: a right diff still, and no longer the shortest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher
from typing import Any

from llmspell_kernel.errors import LimitError
from llmspell_kernel.values import Value

from ..tool import BuiltIn, Calls, ToolSpec

MAX_CHARS = 1_000_000
MAX_LINES = 100_000
MAX_STEPS = 5_000_000
"""About a second."""
MAX_CONTEXT = 100
NO_NEWLINE = "\\ No newline at end of file"


class _Matcher(SequenceMatcher[str]):
    """Common beginnings and ends are found at once, and the rest within MAX_STEPS."""

    def __init__(self, a: Sequence[str], b: Sequence[str]) -> None:
        super().__init__(None, a, b, autojunk=False)
        self._before, self._after = a, b
        self._places: dict[str, list[int]] = self.b2j  # type: ignore[attr-defined]
        self._steps = 0

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        a, b = self._before, self._after
        ahi, bhi = len(a) if ahi is None else ahi, len(b) if bhi is None else bhi
        most = min(ahi - alo, bhi - blo)
        if size := next((at for at in range(most) if a[alo + at] != b[blo + at]), most):
            return Match(alo, blo, size)
        if size := next((at for at in range(most) if a[ahi - 1 - at] != b[bhi - 1 - at]), most):
            return Match(ahi - size, bhi - size, size)
        if self._steps <= MAX_STEPS:
            self._steps += sum([1 + len(self._places.get(a[at], ())) for at in range(alo, ahi)])
        return super().find_longest_match(alo, ahi, blo, bhi) if self._steps <= MAX_STEPS else Match(alo, blo, 0)


def unified(a: str, b: str, context: int) -> dict[str, Any]:
    """`{diff, added, removed}`; `diff` is "" where nothing differs.  Raises LimitError for texts of too many lines."""
    before, after = _lines(a), _lines(b)
    if max(len(before), len(after)) > MAX_LINES:
        raise LimitError(
            f"text_diff: a text has more than {MAX_LINES:,} lines; compare parts of it",
            limit="diff_lines",
            value=MAX_LINES,
            used=max(len(before), len(after)),
        )
    lines, added, removed = [], 0, 0
    for group in _Matcher(before, after).get_grouped_opcodes(context):
        lines.append(f"@@ -{_range(group[0][1], group[-1][2])} +{_range(group[0][3], group[-1][4])} @@")
        for kind, alo, ahi, blo, bhi in group:
            if kind == "equal":
                lines += _signed(" ", before[alo:ahi])
                continue
            lines += [*_signed("-", before[alo:ahi]), *_signed("+", after[blo:bhi])]
            removed, added = removed + ahi - alo, added + bhi - blo
    return {"diff": "\n".join(["--- a", "+++ b", *lines, ""]) if lines else "", "added": added, "removed": removed}


def _lines(text: str) -> list[str]:
    """With their ends: only "\\n" ends one, so that none of the others is lost."""
    found = [f"{line}\n" for line in text.split("\n")]
    last = found.pop()[:-1]
    return [*found, last] if last else found


def _signed(sign: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield f"{sign}{line.removesuffix(chr(10))}"
        if not line.endswith("\n"):
            yield NO_NEWLINE


def _range(start: int, stop: int) -> str:
    """As GNU diff has it: of nothing, the line before."""
    length = stop - start
    return f"{start + 1}" if length == 1 else f"{start + 1 if length else start},{length}"


async def _run(call: Calls, args: dict[str, Any]) -> Value:
    return await asyncio.to_thread(unified, args["a"], args["b"], int(args.get("context", 3)))


TEXT_DIFF = BuiltIn(
    ToolSpec(
        name="text_diff",
        description="Compare two texts line by line: a unified diff, and how many lines it adds and removes. It is empty where they are the same.",
        parameters={
            "type": "object",
            "properties": {
                "a": {"type": "string", "maxLength": MAX_CHARS, "description": "the text before"},
                "b": {"type": "string", "maxLength": MAX_CHARS, "description": "the text after"},
                "context": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": MAX_CONTEXT,
                    "default": 3,
                    "description": "how many lines to show around a change",
                },
            },
            "required": ["a", "b"],
            "additionalProperties": False,
        },
        returns={
            "type": "object",
            "properties": {"diff": {"type": "string"}, "added": {"type": "integer"}, "removed": {"type": "integer"}},
            "required": ["diff", "added", "removed"],
        },
    ),
    _run,
)
