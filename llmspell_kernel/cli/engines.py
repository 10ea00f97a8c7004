"""`llmspell engines`: the languages that scripts can be written in."""

from __future__ import annotations

import json

import click


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """List the engines: languages, magics, file endings, features."""
    from ..engines._overview import overview
    from ..engines._registry import discover
    from ..render.engines import engine_bundle

    engines = overview(discover())
    click.echo(json.dumps(engines, indent=2) if as_json else engine_bundle(engines)["text/plain"])
