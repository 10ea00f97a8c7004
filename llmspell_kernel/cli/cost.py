"""`llmspell cost`: what models took, from journals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..journal.event_text import ReadEvents

BY = ("cell", "model", "day")
NO_JOURNAL = "There is no journal in .llmspell/journal of this folder; name the FILES of one that lies elsewhere: llmspell cost FILE ..."


@click.command
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--by", "by", multiple=True, type=click.Choice(BY), help="One line for each; may be given several times.  [default: model, day]"
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print as CSV.")
def command(files: tuple[Path, ...], by: tuple[str, ...], as_json: bool, as_csv: bool) -> None:
    """Add up tokens and money of journal FILES.

    Without FILES, of all journals of this folder (.llmspell/journal).  A price that is not known is counted under `unpriced`, never as zero;
    what a cassette answered is `replayed` and costs nothing.  What cannot be read is told, and counted as `left_out` in the JSON.
    """
    from ..journal.event_file import journals_in
    from ..journal.spending import BY as GROUPS
    from ..journal.spending import csv_text, ledger, merged, rows, total
    from ._tables import ledger_table, show

    chosen = [name for name in GROUPS if name in (by or ("model", "day"))]
    found, left_out = _journals(files or journals_in(Path.cwd()), named=bool(files))
    lines = merged(line for journal in found for line in ledger(journal.events, chosen))
    if as_json:
        sums = {"lines": rows(lines), "total": total(lines)._asdict()}
        click.echo(json.dumps({**sums, "left_out": {"journals": left_out, "lines": sum(one.unreadable for one in found)}}, indent=2))
    elif as_csv:
        click.echo(csv_text(lines, chosen), nl=False)
    elif lines:
        show(ledger_table(chosen, lines, total(lines)))
    else:
        click.echo("No model was used." if found or left_out else NO_JOURNAL)


def _journals(files: Sequence[Path], *, named: bool) -> tuple[list[ReadEvents], int]:
    """The journals, and how many of a folder's were left out.  One that the user named and that cannot be read is an error (LoadError)."""
    from ..errors import LoadError
    from ._journals import loaded, tell

    found, left_out = [], 0
    for file in files:
        try:
            found.append(loaded(file))
        except LoadError as error:
            if named:
                raise
            left_out += 1
            tell(f"left out: {error.message}")
    return found, left_out
