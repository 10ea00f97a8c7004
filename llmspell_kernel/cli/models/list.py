"""`llmspell models list`: what `--model` and `llm.set_model` take here."""

from __future__ import annotations

import os

import click


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """List the models that can be used here, and what the others need."""
    import json

    from .._facts import default_model, models, settings_here
    from .._tables import model_table, show

    settings, wrong = settings_here(os.environ)
    found, default = models(os.environ), default_model(os.environ, settings)
    if as_json:
        click.echo(json.dumps({"models": found, "default_model": default}, indent=2))
        return
    show(model_table(found))
    click.echo(f"Default: {default['name']} ({default['why']})")
    for problem in wrong:
        click.echo(f"But {problem}", err=True)
