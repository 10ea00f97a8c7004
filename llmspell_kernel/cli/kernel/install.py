"""`llmspell kernel install`: kernels for a Jupyter that runs in another environment."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import click


@click.command
@click.option("--user", "place", flag_value="user", help="For this user's Jupyter, wherever it is installed (the default).")
@click.option("--sys-prefix", "place", flag_value="sys-prefix", help="Into this Python environment.")
@click.option("--prefix", type=click.Path(path_type=Path), metavar="P", help="Into the environment at P.")
@click.option(
    "--name", default="llmspell", show_default=True, help="For several environments: kernels NAME, and NAME-... for each language."
)
def command(place: str | None, prefix: Path | None, name: str) -> None:
    """Install the kernels so that they run in this Python environment.

    Not needed where Jupyter runs in the same environment: there `pip install` was enough.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    from ._specs import shipped, write

    if place is not None and prefix is not None:
        raise click.UsageError(f"--{place} and --prefix exclude each other")
    if not re.fullmatch(r"[a-z0-9._-]+", name):
        raise click.UsageError(
            f"--name {name!r}: a kernel's name has lower-case letters, digits, '.', '_' and '-' only; for example llmspell-py312"
        )
    where = str(prefix) if prefix is not None else sys.prefix if place == "sys-prefix" else None
    for shipped_name, source in shipped():
        own_name = name + shipped_name.removeprefix("llmspell")
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / own_name
            write(source, copy, sys.executable, "" if name == "llmspell" else name)
            target = KernelSpecManager().install_kernel_spec(str(copy), own_name, user=where is None, prefix=where)
        click.echo(f"{own_name}: {target}")
