"""`llmspell diff`: two runs side by side."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
def command(before: Path, after: Path) -> None:
    """Compare two journals.

    Answers word by word, calls that only one of them has, tokens, cost and time.  Exits with 1 where calls or answers differ.
    """
    from ..journal.difference import difference
    from ..render.journal import difference_text, painted, plain
    from ._journals import loaded

    found = difference(loaded(before).events, loaded(after).events)
    click.echo(difference_text(found, painted if sys.stdout.isatty() else plain))
    sys.exit(int(any(pair.kind != "same" for pair in found.pairs)))
