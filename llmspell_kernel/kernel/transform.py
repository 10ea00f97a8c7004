"""The input transformer: a script cell becomes an awaited call, because IPython does not await what a cell magic returns.

It also runs for `is_complete`, so it is total and has no side effects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from .cells import python_cell, script_cell
from .commands import COMMANDS

_AWAITED = "|".join(name for name, command in COMMANDS.items() if command.is_awaited)
_LINE_MAGIC = re.compile(rf"^(\s*)(get_ipython\(\)\.run_line_magic\('llmspell', '(?:{_AWAITED})\b)")
CALL = "await get_ipython().llmspell.run_cell"
AROUND = "get_ipython().llmspell.around"
BEFORE = "with get_ipython().llmspell.python_lines():\n"


def make_transformer(magics: Collection[str], default: Callable[[], str]) -> Callable[[list[str]], list[str]]:
    """A transformer for `input_transformers_cleanup`; `default` gives the language of plain cells at the time of the cell."""

    def transform_script_cell(lines: list[str]) -> list[str]:
        text = "".join(lines)
        python = python_cell(text, default())
        if python is not None:
            return python.splitlines(keepends=True)
        cell = script_cell(text, magics, default())
        if cell is None:
            return lines
        before = [BEFORE, *(f"    {line}" for line in cell.before)] if cell.before else []
        inside = [*before, f"{CALL}({cell.engine!r}, {cell.line!r}, {cell.code!r}, {cell.offset})\n"]
        for name, line in reversed(cell.around):
            inside = [f"with {AROUND}({name!r}, {line!r}):\n", *(f"    {each}" for each in inside)]
        return inside

    # IPython leaves such a transformer out when it asks whether a cell is complete: `%%lua` and Enter then goes on, as other cell magics do
    transform_script_cell.has_side_effects = True  # type: ignore[attr-defined]
    return transform_script_cell


def await_commands(lines: list[str]) -> list[str]:
    """A transformer for `input_transformers_post`, where IPython has made calls of line magics."""
    return [_LINE_MAGIC.sub(r"\1await \2", line) for line in lines]
