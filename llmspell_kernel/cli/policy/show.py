"""`llmspell policy show`: limits, grants and active layers, and where each comes from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """Show what holds for scripts in this folder: grants, limits, and the layers that are active on this machine.

    A worker is started to see what it reports of its layers.
    """
    from rich.text import Text

    from ...configuration.policy_overview import overview, parts
    from ...configuration.sources import read_settings
    from ...engines._registry import discover
    from ...policy.layers import confinement_of
    from .._facts import probe_worker
    from .._tables import heading, line_table, show

    settings = read_settings(os.environ, Path.cwd(), discover())
    worker = probe_worker(confinement_of(settings.preset, settings.confinement).layers)
    found = overview(settings, worker.get("layers", {}), {})
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    first, *others = parts(found)
    show(Text(first.title, style="bold"))
    for part in others:
        show(heading(part.title), line_table(part.lines))
