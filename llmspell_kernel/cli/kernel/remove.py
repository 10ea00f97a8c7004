"""`llmspell kernel remove`: takes back what `llmspell kernel install` wrote."""

from __future__ import annotations

from pathlib import Path

import click

from ...errors import nearest


@click.command
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--prefix", type=click.Path(path_type=Path), metavar="P", help="From the environment at P, as `install --prefix P` wrote them."
)
def command(names: tuple[str, ...], prefix: Path | None) -> None:
    """Remove kernels by name, as `llmspell kernel list` shows them."""
    from .._facts import kernelspec_manager, kernelspecs

    manager = kernelspec_manager(prefix)
    specs = {spec["name"]: spec for spec in kernelspecs(manager)}
    for name in names:
        if name not in specs:
            raise click.UsageError(f"there is no llmspell kernel '{name}'{nearest(name, list(specs))}")
        if not Path(specs[name]["python"]).is_absolute():
            raise click.UsageError(f"'{name}' came with the package; it goes with: pip uninstall llmspell-kernel")
    for name in names:
        click.echo(f"removed {manager.remove_kernel_spec(name)}")
