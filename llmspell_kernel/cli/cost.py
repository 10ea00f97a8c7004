"""`llmspell cost`: what models took, from journals."""

from __future__ import annotations

import json
from pathlib import Path

import click

BY = ("cell", "model", "day")


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
    from ..journal.spending import BY as GROUPS
    from ..journal.spending import csv_text, ledger, merged, rows, total
    from ._journals import each_journal, no_journal
    from ._ledger_table import ledger_lines, terminal_columns

    chosen = [name for name in GROUPS if name in (by or ("model", "day"))]
    journals = list(each_journal(files))
    found = [journal for journal in journals if journal is not None]
    left_out = len(journals) - len(found)
    lines = merged(line for journal in found for line in ledger(journal.events, chosen))
    if as_json:
        sums = {"lines": rows(lines), "total": total(lines)._asdict()}
        click.echo(json.dumps({**sums, "left_out": {"journals": left_out, "lines": sum(one.unreadable for one in found)}}, indent=2))
    elif as_csv:
        click.echo(csv_text(lines, chosen), nl=False)
    elif lines:
        for line in ledger_lines(chosen, lines, total(lines), terminal_columns()):
            click.echo(line)
    else:
        click.echo("No model was used." if found or left_out else no_journal("llmspell cost"))
