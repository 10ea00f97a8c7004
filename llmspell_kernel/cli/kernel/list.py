"""`llmspell kernel list`: the kernels of this package that Jupyter finds."""

from __future__ import annotations

import json

import click


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """List the kernels that Jupyter finds from this environment."""
    from .._facts import kernelspecs
    from .._tables import kernel_table, show

    specs = kernelspecs()
    if as_json:
        click.echo(json.dumps(specs, indent=2))
    elif specs:
        show(kernel_table(specs))
    else:
        click.echo("Jupyter finds no llmspell kernel; install them with: llmspell kernel install --user")
