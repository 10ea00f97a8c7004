"""`llmspell config`: the settings that hold here, and where each comes from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """Show every setting with its value and its origin.

    They come from your own file, the project's llmspell.toml, the environment and `llmspell run --set`; later ones win.
    """
    from ..configuration.rules import rows
    from ..configuration.sources import places, read_settings
    from ..engines._registry import discover
    from ._tables import setting_table, show

    found = places(os.environ, Path.cwd())
    settings = rows(read_settings(os.environ, Path.cwd(), discover()))
    if as_json:
        listed = [{"key": row.key, "value": row.value, "origin": str(row.origin)} for row in settings]
        files = {"user": str(found.user), "project": None if found.project is None else str(found.project)}
        click.echo(json.dumps({"settings": listed, "files": files}, indent=2))
        return
    show(setting_table(settings))
    click.echo(f"\nYour file: {found.shown(found.user)}{'' if found.user.exists() else ' (not there)'}")
    click.echo(f"The project's file: {'none' if found.project is None else found.shown(found.project)}")
