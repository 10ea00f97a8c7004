"""`llmspell cost`: what models took, from journals."""

from __future__ import annotations

import csv
import json
import sys
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
    """Add up tokens and money of journal FILES, or of all journals of this folder (.llmspell/journal).

    A price that is not known is counted under `unpriced`, never as zero; what a cassette answered is `replayed` and costs nothing.
    """
    from ..journal.event_file import journals_in, load_events
    from ..journal.spending import BY as GROUPS
    from ..journal.spending import ledger, merged, rows, total
    from ._tables import ledger_table, show

    chosen = [name for name in GROUPS if name in (by or ("model", "day"))]
    lines = merged(line for file in (files or journals_in(Path.cwd())) for line in ledger(load_events(file).events, chosen))
    if as_json:
        click.echo(json.dumps({"lines": rows(lines), "total": total(lines)._asdict()}, indent=2))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, [*chosen, *total(lines)._fields], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows(lines))
    elif lines:
        show(ledger_table(chosen, lines, total(lines)))
    else:
        click.echo("No model was used.")
