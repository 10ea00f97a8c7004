"""What models took, as lines of text: names beside their amounts, or above them where the terminal is too narrow for both."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from ..journal.spending import Line, Spent
from ..render.text import clean_line, width
from ..render.trace import money

AMOUNTS = ("requests", "input", "output", "cached", "cost", "unpriced", "replayed")
NAME_CHARS = 200
UNWRAPPED_COLUMNS = 10_000


def terminal_columns() -> int:
    """Of a pipe or a file, more than any line needs."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNWRAPPED_COLUMNS


def ledger_lines(by: Sequence[str], lines: Iterable[Line], total: Spent, columns: int) -> Iterator[str]:
    found = [([clean_line(line.group[name], NAME_CHARS) for name in by], _amounts(line.spent)) for line in lines]
    rows = [(list(by), list(AMOUNTS)), *found, (["all", *[""] * (len(by) - 1)], _amounts(total))]
    names = list(_aligned([names for names, _ in rows], right=False))
    amounts = list(_aligned([amounts for _, amounts in rows], right=True))
    fits = max(map(width, names)) + 2 + max(map(width, amounts)) <= columns
    for name, amount in zip(names, amounts, strict=True):
        if fits:
            yield f"{name}  {amount}"
        else:
            yield name.rstrip()
            yield f"  {amount}"


def _aligned(rows: Sequence[Sequence[str]], *, right: bool) -> Iterator[str]:
    widths = [max(map(width, column)) for column in zip_longest(*rows, fillvalue="")]
    for row in rows:
        blanks = [" " * (size - width(text)) for text, size in zip(row, widths, strict=True)]
        yield (" " if right else "  ").join(blank + text if right else text + blank for text, blank in zip(row, blanks, strict=True))


def _amounts(spent: Spent) -> list[str]:
    counts = (spent.requests, spent.input_tokens, spent.output_tokens, spent.cached_tokens)
    return [*(f"{count:,}" for count in counts), money(spent.cost_usd), f"{spent.unpriced:,}", f"{spent.replayed:,}"]
