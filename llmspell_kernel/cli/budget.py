"""`llmspell budget`: what models were used today, against the budgets of the day."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """Show what you have used today, against the day's budgets.

    That is what all notebooks and commands of yours have used of models since midnight (UTC).
    `%llmspell budget` shows a notebook's own use as well.
    """
    import time

    from ..configuration.sources import read_settings, state_folder
    from ..engines._registry import discover
    from ..journal.ledger import Ledger, LedgerError
    from ..policy.budgets import Amounts, Budgets, Tally, lines, table
    from ..policy.tables import table_of

    settings = read_settings(os.environ, Path.cwd(), discover())
    try:
        day, sums = Ledger(state_folder(os.environ), Amounts._fields, time.time).today()
    except LedgerError as error:
        raise click.ClickException(f"the record of the days' budgets cannot be read: {error}") from error
    used = Amounts(*sums)
    found = list(lines(table_of(settings, Budgets), "day", Tally(used)))
    if as_json:
        budgets = {line.key: {"used": line.used, "of": line.cap if line.is_limited else None} for line in found}
        click.echo(json.dumps({"day": day, "budgets": budgets, "requests_without_a_price": used.unpriced}, indent=2))
        return
    click.echo(f"{day} (UTC); a call that still runs counts as the most it may need.\n\n{table(found)}")
    if used.unpriced:
        click.echo(f"\n{used.unpriced:,} of the requests have no known price: the cost is higher than shown.")
