"""Where a notebook's cassette and its saved states lie: beside it, under its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError
from ..settings import CASSETTE_ENDING

STATES_ENDING = ".states.jsonl"
NOTEBOOK_VARIABLE = "JPY_SESSION_NAME"
"""Jupyter Server sets it for a kernel that it starts: the path of the notebook."""


def cassette_of(given: str, environ: Mapping[str, str], folder: Path, mode: str) -> Path:
    """`given`, from the folder on, else the file beside the notebook.  Raises ConfigError where neither tells.

    `mode` ("record", "replay" or "auto") is what the file is for.
    """
    command = "replay auto" if mode == "auto" else mode
    return _beside("a cassette", CASSETTE_ENDING, given, environ, folder, command)


def states_file_of(given: str, environ: Mapping[str, str], folder: Path) -> Path:
    """The same for saved states."""
    return _beside("a file of states", STATES_ENDING, given, environ, folder, "save")


def _beside(what: str, ending: str, given: str, environ: Mapping[str, str], folder: Path, command: str) -> Path:
    if given and not given.endswith(ending):
        raise ConfigError(f"the name of {what} must end with {ending}, and '{given}' does not")
    if given:
        return folder / Path(given).expanduser()
    notebook = Path(environ.get(NOTEBOOK_VARIABLE, ""))
    if notebook.suffix != ".ipynb":
        raise ConfigError(
            f"who started this kernel does not say what the notebook is called; name the file, as in %llmspell {command} notes{ending}"
        )
    return folder / f"{notebook.stem}{ending}"
