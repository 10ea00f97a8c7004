"""`llmspell policy check`: is a settings file right, and what would it change?"""

from __future__ import annotations

import os
from pathlib import Path

import click

RULES_UNMET = 1


@click.command
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--own", is_flag=True, help="As if the file were your own: it may loosen too.")
def command(file: Path | None, own: bool) -> None:
    """Check the settings of this folder, or a FILE as a project's over your own settings, and list what it sets.

    Exits with 1 at the first thing that is wrong, and names its line, column and key.  A rule that fits no call of an installed bridge is
    wrong too: a deny with a slip in it denies nothing.
    """
    from ...configuration.rules import rows
    from ...configuration.sources import read_project_file, read_settings
    from ...engines._registry import discover
    from ...render.text import plural
    from ...spells.running import check_model_of
    from .._tables import setting_table, show
    from ._unmet_patterns import told

    if own and file is None:
        raise click.UsageError("--own says whose the FILE is: name one")
    engines, folder = discover(), Path.cwd()
    if file is not None:
        settings = read_project_file(file, os.environ, folder, engines, own=own)
        checked = f"{file} is"
    else:
        settings = read_settings(os.environ, folder, engines)
        checked = "The settings of this folder are"
    check_model_of(settings)
    changed = [row for row in rows(settings) if row.key in settings.origins]
    show(setting_table(changed))
    unmet = list(told(settings))
    for line in unmet:
        click.echo(f"Error: {line}", err=True)
    if unmet:
        raise SystemExit(RULES_UNMET)
    click.echo(f"{checked} right; {plural(len(changed), 'value')} set, all others are the defaults.")
