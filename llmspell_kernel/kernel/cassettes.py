"""Where a notebook's cassette lies: beside it, under its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError
from ..settings import CASSETTE_ENDING

NOTEBOOK_VARIABLE = "JPY_SESSION_NAME"
"""Jupyter Server sets it for a kernel that it starts: the path of the notebook."""


def cassette_of(given: str, environ: Mapping[str, str], folder: Path) -> Path:
    """`given`, from the folder on, else the file beside the notebook.  Raises ConfigError where neither tells."""
    if given and not given.endswith(CASSETTE_ENDING):
        raise ConfigError(f"a cassette's name must end with {CASSETTE_ENDING}, and '{given}' does not: a recording replaces the file")
    if given:
        return folder / Path(given).expanduser()
    notebook = Path(environ.get(NOTEBOOK_VARIABLE, ""))
    if notebook.suffix != ".ipynb":
        raise ConfigError(f"who started this kernel does not say what the notebook is called; name the file, as in notes{CASSETTE_ENDING}")
    return folder / f"{notebook.stem}{CASSETTE_ENDING}"
